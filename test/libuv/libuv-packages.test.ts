// installHint: the command for each distribution, by os-release(5).

import { expect, setDefaultTimeout, test } from "bun:test";
import { installHint } from "../../src/libuv/libuv-packages.ts";

setDefaultTimeout(60_000);

const releases: [name: string, osRelease: string, hint: string][] = [
  ["Debian 12", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n', "run apt-get install libuv1"],
  ["Debian 13", 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="13"\n', "run apt-get install libuv1t64"],
  ["Debian testing", "ID=debian\nVERSION_CODENAME=forky\n", "run apt-get install libuv1t64"],
  ["Ubuntu 22.04", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n', "run apt-get install libuv1"],
  ["Ubuntu 24.04", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "run apt-get install libuv1t64"],
  [
    "Linux Mint 21",
    'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="21.3"\nUBUNTU_CODENAME=jammy\n',
    "run apt-get install libuv1",
  ],
  [
    "Linux Mint 22",
    'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nUBUNTU_CODENAME=noble\n',
    "run apt-get install libuv1t64",
  ],
  ["Raspbian", 'ID=raspbian\nID_LIKE=debian\nVERSION_ID="12"\n', "run apt-get install libuv1"],
  ["Alpine", "ID=alpine\nVERSION_ID=3.20.1\n", "run apk add libuv"],
  ["Fedora", "ID=fedora\nVERSION_ID=41\n", "run dnf install libuv"],
  ["Rocky Linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "run dnf install libuv"],
  ["Amazon Linux", 'ID="amzn"\nID_LIKE="fedora"\n', "run dnf install libuv"],
  ["Arch", "ID=arch\n", "run pacman -S libuv"],
  ["Manjaro", "ID=manjaro\nID_LIKE=arch\n", "run pacman -S libuv"],
  ["openSUSE Leap", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "run zypper install libuv1"],
  ["openSUSE Tumbleweed, single quotes", "ID='opensuse-tumbleweed'\r\n", "run zypper install libuv1"],
];

for (const [name, osRelease, hint] of releases) {
  test(`${name}: ${hint}`, () => expect(installHint(osRelease)).toBe(hint));
}

test("an unknown distribution gets the command for each known one", () => {
  for (const text of ["", "ID=plan9\n", "not an os-release file \0\xff", 'ID="unclosed\n']) {
    const hint = installHint(text);
    for (const word of [
      "apt-get install libuv1 ",
      "libuv1t64",
      "apk add libuv ",
      "dnf install libuv ",
      "pacman -S libuv ",
    ]) {
      expect(hint).toContain(word);
    }
    expect(hint).toEndWith("zypper install libuv1 (openSUSE)");
  }
});
