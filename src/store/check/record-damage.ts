import type { DiskStore } from '../disk-store.ts'
import { guarded } from '../disk-store.ts'
import { writeNewFile } from '../recovery.ts'
import type { CheckReport } from './report.ts'

/** Writes down which blocks failed, so that content in them is written anew when it is put again; forgets the others. */
export function recordDamage(store: DiskStore, report: CheckReport): void {
  const { fs } = store.requireWriting()
  const path = store.paths.damagedBlocks
  guarded(`Cannot write ${path}`, () => {
    if (report.damagedBlocks.length === 0) {
      fs.unlink(path)
      return
    }
    fs.unlink(`${path}.tmp`)
    writeNewFile(fs, `${path}.tmp`, Buffer.from(`${report.damagedBlocks.join('\n')}\n`), 0o644)
    fs.rename(`${path}.tmp`, path)
  })
}
