/**
 * The programs and files that the build host itself must have. One table: `asl doctor` prints it, `make setup`
 * installs from it, and a skipped test names a row of it. Everything else that a build needs comes from the tools tree.
 */
export type ToolUse = 'build' | 'boot' | 'user-mode' | 'test' | 'bench'

export const TOOL_USES: readonly ToolUse[] = ['build', 'boot', 'user-mode', 'test', 'bench']

export interface HostTool {
  /** The program as it is called; for a file, a short name. */
  readonly name: string
  readonly neededFor: readonly ToolUse[]
  /** What for, in a few words. */
  readonly why: string
  readonly packages: { readonly debian: string; readonly fedora: string }
  /** Present only for things that are no program: any one of these paths will do. */
  readonly files?: readonly string[]
  /** Words that make the program print its version; absent when it has no such words. */
  readonly versionArgs?: readonly string[]
  /** The oldest version that is known to do. */
  readonly minimum?: string
  /** Only hosts of this machine type (as Node names it) need it. */
  readonly arch?: 'x64' | 'arm64'
}

const VERSION = ['--version']

export const HOST_TOOLS: readonly HostTool[] = [
  {
    name: 'unshare',
    neededFor: ['build'],
    why: 'makes the namespaces of a step',
    packages: { debian: 'util-linux', fedora: 'util-linux' },
    versionArgs: VERSION,
    minimum: '2.38', // --map-users and --map-auto
  },
  {
    name: 'nsenter',
    neededFor: ['build'],
    why: 'enters the namespaces of a running step',
    packages: { debian: 'util-linux', fedora: 'util-linux' },
    versionArgs: VERSION,
    minimum: '2.38',
  },
  {
    name: 'mount',
    neededFor: ['build'],
    why: 'mounts the layers of a step',
    packages: { debian: 'mount', fedora: 'util-linux' },
    versionArgs: VERSION,
    minimum: '2.38',
  },
  {
    name: 'git',
    neededFor: ['build'],
    why: 'tells which files of the project enter an image',
    packages: { debian: 'git', fedora: 'git-core' },
    versionArgs: VERSION,
  },
  {
    name: 'bwrap',
    neededFor: ['build'],
    why: 'assembles the sandbox of a step',
    packages: { debian: 'bubblewrap', fedora: 'bubblewrap' },
    versionArgs: VERSION,
    minimum: '0.8',
  },
  {
    name: 'newuidmap',
    neededFor: ['user-mode'],
    why: 'gives a step more than one user id when you are not root',
    packages: { debian: 'uidmap', fedora: 'shadow-utils' },
  },
  {
    name: 'strace',
    neededFor: ['user-mode', 'test'],
    why: 'observes what a step reads when you are not root',
    packages: { debian: 'strace', fedora: 'strace' },
    versionArgs: ['-V'],
    minimum: '5.3', // --seccomp-bpf
  },
  {
    name: 'qemu-system-x86_64',
    neededFor: ['boot'],
    why: 'boots amd64 images',
    packages: { debian: 'qemu-system-x86', fedora: 'qemu-system-x86-core' },
    versionArgs: VERSION,
    minimum: '7.0',
  },
  {
    name: 'OVMF',
    neededFor: ['boot'],
    why: 'UEFI firmware of the amd64 guest',
    packages: { debian: 'ovmf', fedora: 'edk2-ovmf' },
    files: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_CODE.fd'],
  },
  {
    name: 'SeaBIOS',
    neededFor: ['boot'],
    why: 'BIOS firmware of the amd64 guest',
    packages: { debian: 'seabios', fedora: 'seabios-bin' },
    files: ['/usr/share/seabios/bios-256k.bin'],
  },
  {
    name: 'iPXE ROMs',
    neededFor: ['boot'],
    why: 'option ROMs of the guest network cards',
    packages: { debian: 'ipxe-qemu', fedora: 'ipxe-roms-qemu' },
    // Debian 12, Debian 13, Fedora
    files: [
      '/usr/lib/ipxe/qemu/efi-virtio.rom',
      '/usr/share/qemu/efi-virtio.rom',
      '/usr/share/ipxe/qemu/efi-virtio.rom',
    ],
  },
  {
    name: 'xorriso',
    neededFor: ['test'],
    why: 'reads ISO images back',
    packages: { debian: 'xorriso', fedora: 'xorriso' },
    versionArgs: ['-version'],
  },
  {
    name: 'cpio',
    neededFor: ['test'],
    why: 'reads initramfs archives back',
    packages: { debian: 'cpio', fedora: 'cpio' },
    versionArgs: VERSION,
  },
  {
    name: 'mcopy',
    neededFor: ['test'],
    why: 'reads FAT file systems back',
    packages: { debian: 'mtools', fedora: 'mtools' },
    versionArgs: ['-V'],
  },
  {
    name: 'mkfs.fat',
    neededFor: ['test'],
    why: 'makes FAT file systems to compare with',
    packages: { debian: 'dosfstools', fedora: 'dosfstools' },
    versionArgs: ['--help'],
  },
  {
    name: 'genisoimage',
    neededFor: ['test'],
    why: 'makes ISO images with folders moved for their depth',
    packages: { debian: 'genisoimage', fedora: 'genisoimage' },
    versionArgs: VERSION,
  },
  {
    name: 'sfdisk',
    neededFor: ['test'],
    why: 'makes partition tables to compare with',
    packages: { debian: 'fdisk', fedora: 'util-linux' },
    versionArgs: VERSION,
  },
  {
    name: 'fsverity',
    neededFor: ['test'],
    why: 'checks fs-verity digests',
    packages: { debian: 'fsverity', fedora: 'fsverity-utils' },
    versionArgs: VERSION,
  },
  {
    name: 'sbsign',
    neededFor: ['test'],
    why: 'signs EFI programs to compare with',
    packages: { debian: 'sbsigntool', fedora: 'sbsigntools' },
    versionArgs: VERSION,
  },
  {
    name: 'mkfs.erofs',
    neededFor: ['test'],
    why: 'makes erofs file systems to compare with',
    packages: { debian: 'erofs-utils', fedora: 'erofs-utils' },
    versionArgs: VERSION,
  },
  {
    name: 'veritysetup',
    neededFor: ['test'],
    why: 'checks dm-verity hash trees',
    packages: { debian: 'cryptsetup-bin', fedora: 'veritysetup' },
    versionArgs: VERSION,
  },
  {
    name: 'openssl',
    neededFor: ['test'],
    why: 'checks digests, certificates and signatures from outside',
    packages: { debian: 'openssl', fedora: 'openssl' },
    versionArgs: ['version'],
  },
  {
    name: 'curl',
    neededFor: ['test'],
    why: 'fetches through the recorder',
    packages: { debian: 'curl', fedora: 'curl' },
    versionArgs: VERSION,
  },
  {
    name: 'gcc',
    neededFor: ['test'],
    why: 'compiles the programs that try to hide from the observer',
    packages: { debian: 'gcc', fedora: 'gcc' },
    versionArgs: VERSION,
  },
  {
    name: 'C headers',
    neededFor: ['test'],
    why: 'compiles the programs that try to hide from the observer',
    packages: { debian: 'libc6-dev', fedora: 'glibc-devel' },
    files: ['/usr/include/stdio.h'],
  },
  {
    name: 'debootstrap',
    neededFor: ['test'],
    why: 'the pre-image workflow of the seed, examples/asl-workflow.sh',
    packages: { debian: 'debootstrap', fedora: 'debootstrap' },
    versionArgs: VERSION,
  },
  {
    name: 'zsh',
    neededFor: ['test'],
    why: 'reads its completion script',
    packages: { debian: 'zsh', fedora: 'zsh' },
    versionArgs: VERSION,
  },
  {
    name: 'fish',
    neededFor: ['test'],
    why: 'reads its completion script',
    packages: { debian: 'fish', fedora: 'fish' },
    versionArgs: VERSION,
  },
  {
    name: 'restic',
    neededFor: ['bench'],
    why: 'the measure for ingest',
    packages: { debian: 'restic', fedora: 'restic' },
    versionArgs: ['version'],
  },
  {
    name: 'borg',
    neededFor: ['bench'],
    why: 'the measure for ingest',
    packages: { debian: 'borgbackup', fedora: 'borgbackup' },
    versionArgs: VERSION,
  },
]

/** The rows that serve any of `uses` on this machine type, in the order of the table. */
export function hostToolsFor(uses: readonly ToolUse[], arch: string = process.arch): readonly HostTool[] {
  return HOST_TOOLS.filter(
    tool => (tool.arch === undefined || tool.arch === arch) && tool.neededFor.some(use => uses.includes(use)),
  )
}
