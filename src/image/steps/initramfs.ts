import type { Step } from '../../capture/mod.ts'
import type { InputEntry, Reference } from '../../core/mod.ts'
import { type BuildContext, commandStep, shellScript, treeInput } from '../build-context.ts'

/**
 * dracut inside the image's own root, with our module: output `initramfs.cpio`, uncompressed. What must be there is
 * checked here and now: dracut only warns.
 */
export function dracutStep(context: BuildContext, root: Reference, dracut: Reference): Step {
  const script = `
release=$(ls /usr/lib/modules)
case $release in *' '* | '') echo "the root must hold exactly one kernel, not: $release" >&2; exit 1 ;; esac
cp -r /work/in/dracut/90asl /usr/lib/dracut/modules.d/
mkdir -p /work/tmp
dracut --quiet --force --conf /dev/null --confdir /work/in/dracut/conf.d --tmpdir /work/tmp --kver "$release" \
  /work/out/initramfs.cpio
printf '%s' "$release" > /work/out/kernel-release
`
  return commandStep(context, {
    name: 'initramfs: dracut',
    argv: shellScript(script),
    root,
    inputs: [treeInput('dracut', dracut)],
  })
}

/** The published initramfs: our own archive of what dracut chose, compressed by the tools tree's zstd. */
export function initramfsStep(context: BuildContext, tools: Reference, archive: InputEntry): Step {
  const script = `
zstd --quiet -T1 -15 --check /work/in/initramfs.cpio -o /work/out/initramfs.cpio.zst
`
  return commandStep(context, {
    name: 'initramfs: compress',
    argv: shellScript(script),
    root: tools,
    inputs: [archive],
  })
}
