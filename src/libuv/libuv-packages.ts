// The command that installs libuv on each Linux distribution, for error messages.

import { nodeFs } from "../kernel/node-fs.ts";

interface Family {
  /** The `ID` or `ID_LIKE` words of os-release(5). */
  ids: readonly string[];
  name: string;
  command: string;
}

const FAMILIES: readonly Family[] = [
  {
    ids: ["debian", "ubuntu"],
    name: "Debian and Ubuntu; libuv1t64 since Debian 13 and Ubuntu 24.04",
    command: "apt-get install libuv1",
  },
  { ids: ["alpine", "postmarketos"], name: "Alpine", command: "apk add libuv" },
  { ids: ["fedora", "rhel", "centos", "amzn", "azurelinux"], name: "Fedora and RHEL", command: "dnf install libuv" },
  { ids: ["arch", "archlinux"], name: "Arch", command: "pacman -S libuv" },
  { ids: ["opensuse", "suse", "sles"], name: "openSUSE", command: "zypper install libuv1" },
  { ids: ["void"], name: "Void", command: "xbps-install libuv" },
  { ids: ["gentoo"], name: "Gentoo", command: "emerge dev-libs/libuv" },
  { ids: ["wolfi", "chainguard"], name: "Wolfi", command: "apk add libuv" },
];

/** The first versions with the package's new name, from the transition to 64-bit time_t. */
const T64_SINCE: Readonly<Record<string, number>> = { debian: 13, ubuntu: 24 };
const T64_COMMAND = "apt-get install libuv1t64";

/** `/usr/lib/os-release` is the fallback that os-release(5) names. */
const OS_RELEASE_FILES = ["/etc/os-release", "/usr/lib/os-release"];

/**
 * Returns a clause that says how to install libuv on this distribution: `run apt-get install libuv1`. If the distribution is
 * unknown, the clause lists the commands for the most common ones.
 *
 * @param osRelease the text of os-release(5); default: that of this machine
 */
export function installHint(osRelease: string = readOsRelease()): string {
  const fields = parseOsRelease(osRelease);
  const { ID: id = "", ID_LIKE: idLike = "", VERSION_ID: version = "" } = fields;
  for (const word of [id, ...idLike.split(" ")]) {
    const family = FAMILIES.find(({ ids }) => ids.includes(word) || ids.some((known) => word.startsWith(`${known}-`)));
    if (family !== undefined) return `run ${isT64(fields, id, version) ? T64_COMMAND : family.command}`;
  }
  const all = FAMILIES.slice(0, 5).map(({ name, command }) => `${command} (${name})`);
  return `install libuv with your package manager: ${all.join(", ")}`;
}

function isT64(fields: Readonly<Record<string, string>>, id: string, version: string): boolean {
  const since = T64_SINCE[id];
  if (since !== undefined) {
    // Debian testing and unstable have no VERSION_ID.
    return version === "" ? id === "debian" : Number.parseInt(version, 10) >= since;
  }
  // Derivatives such as Linux Mint name the Ubuntu release, or the Debian one.
  const codename = fields["UBUNTU_CODENAME"] ?? fields["DEBIAN_CODENAME"];
  return codename !== undefined && T64_CODENAMES.has(codename);
}

const T64_CODENAMES: ReadonlySet<string> = new Set([
  "noble",
  "oracular",
  "plucky",
  "questing",
  "resolute",
  "trixie",
  "forky",
  "duke",
]);

function readOsRelease(): string {
  for (const file of OS_RELEASE_FILES) {
    try {
      return nodeFs().readFileSync(file, "utf8");
    } catch {
      // missing: a container may have neither file
    }
  }
  return "";
}

/** Returns the assignments of os-release(5), without the quotes. */
function parseOsRelease(text: string): Record<string, string> {
  const lines = text.matchAll(/^([A-Z][A-Z0-9_]*)=(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"']*))\s*$/gm);
  return Object.fromEntries(
    [...lines].map(([, name = "", double, single, bare]) => [name, double ?? single ?? bare ?? ""]),
  );
}
