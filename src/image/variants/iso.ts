import type { Step } from '../../capture/mod.ts'
import type { InputEntry, Reference } from '../../core/mod.ts'
import { HISTORY_PATH } from '../../lineage/mod.ts'
import { type BuildContext, commandStep, imageSeed, shellScript, treeInput } from '../build-context.ts'

export interface IsoParts {
  readonly tools: Reference
  /** `vmlinuz`, `esp.img`, `eltorito.img`, `grub.cfg`, `initramfs.cpio.zst`, `root.erofs`, `root.verity`. */
  readonly files: readonly InputEntry[]
  readonly rootHash: string
  /** The sealed store, shown on the medium at the path where the running host has it. */
  readonly history: Reference
}

/**
 * A hybrid ISO that boots four ways: BIOS and UEFI, from CD and from a disk (docs/spec/iso.md). The dates of files
 * come from the epoch, the GPT's ids from the seed: xorriso would derive them from the volume date alone.
 */
export function isoStep(context: BuildContext, parts: IsoParts): Step {
  const name = `${context.recipe.name}.iso`
  const volume = context.recipe.name.toUpperCase().replaceAll('-', '_').slice(0, 32)
  const script = `
name=$1 volume=$2 hash=$3 guid=$4
in=/work/in
xorriso -abort_on SORRY -return_with SORRY 32 -as mkisofs -quiet -volid "$volume" -J -joliet-long -r -o "/work/out/$name" \\
  --set_all_file_dates "=$SOURCE_DATE_EPOCH" --gpt_disk_guid "$guid" \\
  --grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img -partition_offset 16 \\
  -append_partition 2 0xef $in/esp.img -appended_part_as_gpt \\
  -c boot/boot.cat \\
  -b boot/grub/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \\
  -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot \\
  -graft-points \\
  boot/vmlinuz=$in/vmlinuz boot/initramfs.cpio.zst=$in/initramfs.cpio.zst \\
  boot/grub/grub.cfg=$in/grub.cfg boot/grub/eltorito.img=$in/eltorito.img \\
  "asl/root/$hash.erofs=$in/root.erofs" "asl/root/$hash.verity=$in/root.verity" \\
  ${HISTORY_PATH}=$in/history
`
  return commandStep(context, {
    name: `iso: ${name}`,
    argv: shellScript(script, name, volume, parts.rootHash, imageSeed(parts.history, parts.rootHash, 'gpt-disk')),
    root: parts.tools,
    inputs: [...parts.files, treeInput('history', parts.history)],
    outputRoles: { [name]: 'image' },
  })
}
