import type { Step } from '../../capture/mod.ts'
import type { InputEntry, Reference } from '../../core/mod.ts'
import { type BuildContext, commandStep, imageSeed, shellScript, treeInput } from '../build-context.ts'

export interface BootFiles {
  readonly tools: Reference
  readonly root: Reference
  readonly initramfs: InputEntry
  readonly commandLine: string
}

/**
 * What firmware starts: `vmlinuz`, the UKI, the ESP that carries it (UEFI) and GRUB's El Torito image (BIOS).
 * Outputs `vmlinuz`, `uki.efi`, `esp.img`, `eltorito.img`, `grub.cfg`.
 */
export function bootFilesStep(context: BuildContext, files: BootFiles): Step {
  const serial = imageSeed(files.root, 'fat:EFI').slice(0, 8)
  const script = `
cmdline=$1 serial=$2 title=$3
cp /work/in/root/boot/vmlinuz-* /work/out/vmlinuz
release=$(ls /work/in/root/usr/lib/modules)

ukify build --linux=/work/out/vmlinuz --initrd=/work/in/initramfs.cpio.zst --cmdline="$cmdline" --uname="$release" \\
  --os-release=@/work/in/root/usr/lib/os-release --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub \\
  --output=/work/out/uki.efi > /dev/null

# Room for the UKI, the tables and as little else as whole MiB allow; FAT times come from the file, so it gets the epoch.
size_kib=$(( ($(stat -c %s /work/out/uki.efi) / 1048576 + 3) * 1024 ))
touch -d "@$SOURCE_DATE_EPOCH" /work/out/uki.efi
mkfs.fat -C --invariant -i "$serial" -n EFI /work/out/esp.img "$size_kib" > /dev/null
mmd -i /work/out/esp.img ::/EFI ::/EFI/BOOT
mcopy -m -i /work/out/esp.img /work/out/uki.efi ::/EFI/BOOT/BOOTX64.EFI

printf 'search --set=root --file /boot/grub/grub.cfg\\nset prefix=($root)/boot/grub\\n' > /work/early.cfg
grub-mkimage -O i386-pc-eltorito -p /boot/grub -c /work/early.cfg -o /work/out/eltorito.img \\
  biosdisk iso9660 part_msdos part_gpt search search_fs_file normal linux configfile serial terminal echo minicmd
cat > /work/out/grub.cfg <<END
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
menuentry "$title" {
  linux /boot/vmlinuz $cmdline
  initrd /boot/initramfs.cpio.zst
}
END
`
  return commandStep(context, {
    name: 'boot files: UKI, ESP, GRUB',
    argv: shellScript(script, files.commandLine, serial, context.recipe.description ?? context.recipe.name),
    root: files.tools,
    inputs: [treeInput('root', files.root), files.initramfs],
  })
}
