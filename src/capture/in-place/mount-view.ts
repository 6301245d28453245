import { isWithin, type RawPath, rebasePath } from './raw-path.ts'

/**
 * What a mount namespace made during the run shows where, as far as its `mount` and `pivot_root` calls tell: the path
 * inside it, and the path of this machine that lies there; `undefined` for a file system that comes and goes with it.
 */
export interface MountView {
  /** `undefined` for what no other process will ever see. */
  outside(inside: RawPath): RawPath | undefined
  /** A namespace of its own that starts with the same mounts. */
  copy(): MountView
  mounted(target: RawPath, source: RawPath | undefined): void
  pivoted(newRoot: RawPath, putOld: RawPath): void
}

interface Shown {
  readonly at: RawPath
  readonly from: RawPath | undefined
}

const ROOT: RawPath = '/' as RawPath

/** The machine as it is. */
export function hostView(): MountView {
  return viewOf([{ at: ROOT, from: ROOT }])
}

/** Later mounts hide earlier ones. */
function viewOf(start: readonly Shown[]): MountView {
  let mounts = start
  const view: MountView = {
    outside(inside) {
      const mount = mounts.findLast(candidate => isWithin(inside, candidate.at))
      return mount?.from === undefined ? undefined : rebasePath(inside, mount.at, mount.from)
    },
    copy: () => viewOf(mounts),
    mounted(target, source) {
      mounts = [...mounts, { at: target, from: source === undefined ? undefined : view.outside(source) }]
    },
    pivoted(newRoot, putOld) {
      const top: Shown = { at: ROOT, from: view.outside(newRoot) }
      const below = mounts
        .filter(mount => isWithin(mount.at, newRoot) && mount.at !== newRoot)
        .map(mount => ({ ...mount, at: rebasePath(mount.at, newRoot, ROOT) }))
      const old = isWithin(putOld, newRoot) ? rebasePath(putOld, newRoot, ROOT) : undefined
      mounts = [top, ...below, ...(old === undefined || old === ROOT ? [] : [{ at: old, from: mounts[0]?.from }])]
    },
  }
  return view
}
