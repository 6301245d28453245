import type { RawPath } from './raw-path.ts'

/** One mount of a mount namespace, from its mountinfo; proc_pid_mountinfo(5). */
export interface Mount {
  readonly id: number
  /** Device number, `major:minor`. */
  readonly device: string
  /** Which part of the file system is shown: `/` for all of it. */
  readonly root: RawPath
  readonly point: RawPath
  readonly type: string
}

/** File systems that hold the kernel's own state and no files of anybody. */
const KERNEL_TYPES = new Set(
  (
    'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
    'proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs'
  ).split(' '),
)

export function parseMountinfo(text: string): readonly Mount[] {
  const mounts: Mount[] = []
  for (const line of text.split('\n')) {
    const [id, , device, root, point, , ...rest] = line.split(' ')
    const type = rest[rest.indexOf('-') + 1]
    if (id === undefined || device === undefined || root === undefined || point === undefined || type === undefined) {
      continue
    }
    mounts.push({ id: Number(id), device, root: unescapeOctal(root), point: unescapeOctal(point), type })
  }
  return mounts
}

export function holdsFiles(mount: Mount): boolean {
  return !KERNEL_TYPES.has(mount.type) && !isKernelPath(mount.point)
}

/** True for what no capture looks at: the kernel's windows onto itself and its devices. */
export function isKernelPath(path: RawPath): boolean {
  return /^\/(proc|sys|dev)(\/|$)/.test(path)
}

/** The kernel writes space, tab, newline and backslash as `\ooo`. */
function unescapeOctal(text: string): RawPath {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  ) as RawPath
}
