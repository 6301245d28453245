import type { Step } from '../../capture/mod.ts'
import type { InputEntry, Reference } from '../../core/mod.ts'
import { type BuildContext, commandStep, shellScript, treeInput } from '../build-context.ts'

/** npm packages that the program bundles, and the two that are programs: the runtime and the bundler. */
export interface NpmPackages {
  readonly bundled: readonly InputEntry[]
  readonly node: InputEntry
  readonly esbuild: InputEntry
}

/**
 * asl with its pinned Node as a tree to put over the root: `/usr/lib/asl/asl.mjs` (one bundle with its source map),
 * `/usr/lib/asl/node/bin/node`, `/usr/lib/asl/bin/asl`. Output `overlay`.
 */
export function programStep(context: BuildContext, tools: Reference, project: Reference, npm: NpmPackages): Step {
  const script = `
node_tgz=$1 esbuild_tgz=$2; shift 2
mkdir -p /work/src /work/esbuild /work/node /work/out/overlay/usr/lib/asl/bin /work/out/overlay/usr/lib/asl/node/bin
cp -r /work/in/project/src /work/in/project/package.json /work/src/
for package in "$@"; do
  name=\${package%%=*} file=\${package#*=}
  mkdir -p "/work/src/node_modules/$name"
  tar -xzf "$file" --strip-components=1 --no-same-owner -C "/work/src/node_modules/$name"
done
tar -xzf "$esbuild_tgz" --no-same-owner -C /work/esbuild
tar -xzf "$node_tgz" --no-same-owner -C /work/node package/bin/node package/LICENSE
to=/work/out/overlay/usr/lib/asl
cd /work/src
/work/esbuild/package/bin/esbuild src/cli/host-main.ts --bundle --platform=node --format=esm --target=node24 --charset=utf8 \\
  --external:koffi --external:@viz-js/viz --keep-names --legal-comments=none --sourcemap=linked --log-level=warning \\
  --banner:js='import { createRequire as asl_require } from "node:module"; const require = asl_require(import.meta.url);' \\
  --outfile=$to/asl.mjs
install -m 644 package.json $to/package.json
install -m 755 /work/node/package/bin/node $to/node/bin/node
install -m 644 /work/node/package/LICENSE $to/node/LICENSE
cat > $to/bin/asl <<'END'
#!/bin/sh
# Starts asl with the Node that this image carries.
ASL_PROGRAM=\${0##*/} exec /usr/lib/asl/node/bin/node /usr/lib/asl/asl.mjs "$@"
END
chmod 755 $to/bin/asl
mkdir -p /work/out/overlay/usr/bin
ln -s ../lib/asl/bin/asl /work/out/overlay/usr/bin/asl
`
  const file = (entry: InputEntry): string => `/work/in/${entry.name.split('/').at(-1)}`
  const bundled = npm.bundled.map(entry => `${packageName(entry.name)}=${file(entry)}`)
  return commandStep(context, {
    name: 'program: asl and its Node',
    argv: shellScript(script, file(npm.node), file(npm.esbuild), ...bundled),
    root: tools,
    inputs: [treeInput('project', project), npm.node, npm.esbuild, ...npm.bundled],
  })
}

/** `http://npm.internal/@scope/name/-/name-1.2.3.tgz` → `@scope/name`. */
function packageName(url: string): string {
  return new URL(url).pathname.slice(1).split('/-/')[0] ?? url
}
