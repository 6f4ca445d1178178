// Where the files of this package are: the sources, or the bundles in dist/ that build.ts makes of them.

/** Set by build.ts. */
declare const EPOLL_HELLO_IS_BUILT: boolean | undefined;

/** Whether this code runs from dist/. */
export const isBuilt: boolean = typeof EPOLL_HELLO_IS_BUILT !== "undefined";

/** The package's directory. If a program was bundled with the package, the directory of that bundle. */
export const packageRoot: string = import.meta.dir.replace(isBuilt ? /(.*)\/dist(\/.*)?$/ : /(.*)\/src\/kernel$/, "$1");

/** Returns the file of a module: `src/index.ts` or `dist/index.js`, for `index`. */
export function moduleFile(name: string): string {
  return isBuilt ? `${packageRoot}/dist/${name}.js` : `${packageRoot}/src/${name}.ts`;
}
