// The addons under test, and where each one's own test suite is.

/** How the files of a suite are run, and how their results are read. */
export type Framework =
  /** Prints TAP: brittle and tape. */
  | "tap"
  /** Runs under mocha, whose `tap` reporter prints TAP. */
  | "mocha"
  /** A program of assertions: only the exit code counts. */
  | "program";

export interface Suite {
  /** The npm package: its version is the one that package.json pins. */
  readonly addon: string;
  /** The package with the native code, if it isn't `addon` itself. */
  readonly packageName?: string;
  /** Where the tests are: the npm package contains them, a folder of ours, or a Git repository (`owner/name` at GitHub) at a tag or commit. */
  readonly source: "package" | "here" | { readonly repository: string; readonly ref: string };
  /** What to take from the repository: pathspecs of Git. */
  readonly take?: readonly string[];
  /** Symbolic links to make in the package: from path to target. */
  readonly links?: Readonly<Record<string, string>>;
  /** The test files: globs from the root of the package. */
  readonly files: readonly string[];
  /** Files that the globs match and that aren't tests, or can't run here on either runtime. */
  readonly except?: readonly string[];
  readonly framework: Framework;
  /** Modules that are loaded before the test file, relative to this folder. */
  readonly setup?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether the tests call `gc()`. */
  readonly gc?: boolean;
  /** A program, relative to the root of the package, that Node runs once before the tests. */
  readonly prepare?: string;
  /** Whether the tests need a serial port that echoes, named by the environment variable TEST_PORT. */
  readonly serialPort?: boolean;
  /** Milliseconds that a file may take. */
  readonly timeout?: number;
}

const at = (repository: string, ref: string): { repository: string; ref: string } => ({ repository, ref });

export const suites: readonly Suite[] = [
  {
    addon: "serialport",
    packageName: "@serialport/bindings-cpp",
    source: at("serialport/bindings-cpp", "v13.0.0"),
    take: ["lib", "test"],
    files: ["lib/*.test.ts"],
    except: ["lib/bindings-win32-sn-parser.test.ts"],
    framework: "mocha",
    serialPort: true,
  },
  {
    addon: "zeromq",
    source: at("zeromq/zeromq.js", "v6.5.0"),
    take: ["test/unit", "tsconfig.json"],
    // The tests import the sources, which are the published build here.
    links: { src: "lib" },
    files: ["test/unit/*-test.ts", "test/unit/compat/*-test.ts"],
    except: ["test/unit/typings-compatibility-test.ts"],
    framework: "mocha",
    environment: { INCLUDE_COMPAT_TESTS: "true" },
    gc: true,
  },
  {
    addon: "udx-native",
    source: at("holepunchto/udx-native", "v1.20.7"),
    take: ["test"],
    files: ["test/*.js"],
    except: ["test/all.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    timeout: 120_000,
  },
  {
    addon: "hyperdht",
    source: at("holepunchto/hyperdht", "v6.33.0"),
    take: ["test"],
    files: ["test/*.js"],
    except: ["test/all.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    timeout: 120_000,
  },
  {
    addon: "hyperswarm",
    source: at("holepunchto/hyperswarm", "v4.17.0"),
    take: ["test"],
    files: ["test/*.js"],
    except: ["test/all.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    timeout: 120_000,
  },
  {
    addon: "utp-native",
    source: "package",
    files: ["test/*.js"],
    // Takes minutes: the package's own `npm test` leaves it out.
    except: ["test/timeouts.js"],
    framework: "tap",
  },
  {
    addon: "fs-native-extensions",
    source: at("holepunchto/fs-native-extensions", "v1.4.4"),
    take: ["test.js", "test"],
    files: ["test/*.js"],
    except: ["test/helpers.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
  },
  {
    addon: "fd-lock",
    source: at("holepunchto/fd-lock", "v2.1.1"),
    take: ["test.js", "test"],
    files: ["test.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
  },
  {
    addon: "fsctl",
    source: "package",
    files: ["test.js"],
    framework: "tap",
  },
  {
    addon: "rocksdb-native",
    source: at("holepunchto/rocksdb-native", "v3.17.3"),
    take: ["test.js", "test"],
    files: ["test.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    timeout: 120_000,
  },
  {
    addon: "hypercore-storage",
    source: at("holepunchto/hypercore-storage", "v2.9.0"),
    take: ["test"],
    files: ["test/*.js"],
    except: ["test/all.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    timeout: 120_000,
  },
  {
    addon: "sodium-native",
    source: at("holepunchto/sodium-native", "v5.1.0"),
    take: ["test"],
    files: ["test/*.js"],
    except: ["test/all.js", "test/helpers.js"],
    framework: "tap",
    setup: ["setup/brittle-timeout.cjs"],
    gc: true,
  },
  {
    addon: "node-unix-socket",
    source: at("bytedance/node-unix-socket", "v0.2.7"),
    take: ["__test__"],
    files: ["__test__/*.spec.ts"],
    framework: "mocha",
    setup: ["setup/jest-globals.cjs"],
  },
  {
    addon: "sqlite3",
    source: at("TryGhost/node-sqlite3", "v6.0.1"),
    take: ["test"],
    files: ["test/*.test.js"],
    framework: "mocha",
    prepare: "test/support/createdb.js",
    timeout: 120_000,
  },
  {
    addon: "@roamhq/wrtc",
    // No tag: the commit whose package.json says 0.8.0.
    source: at("WonderInventions/node-webrtc", "3ecdac9e6cb1ffcb0c76e69248811d0c7bde69c6"),
    take: ["test"],
    files: ["test/*.js", "test/destructor/index.js"],
    except: ["test/all.js", "test/cpp.js", "test/i420helpers.js"],
    framework: "tap",
    gc: true,
  },
  {
    addon: "deasync",
    source: "package",
    files: ["quick-test.js"],
    framework: "program",
    timeout: 30_000,
  },
  {
    addon: "@sentry/node-cpu-profiler",
    source: "here",
    files: ["setup/cpu-profiler.mjs"],
    framework: "program",
    timeout: 30_000,
  },
];
