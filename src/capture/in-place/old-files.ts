import { closeSync } from 'node:fs'
import type { FileFacts } from '../../sys/mod.ts'
import { type ContentSource, type Keep, type SeenContent, SMALL_SIZE_BYTES } from './content.ts'

/** A file from before the run that somebody opened. */
export interface OldFile {
  /** Content before the run; `undefined` when it was lost before anybody read it. */
  content: SeenContent | undefined
  /** Open while the file itself is the only copy of its content. */
  heldFd: number | undefined
}

/** The files from before the run by inode, and the large ones among them whose content must be saved in time. */
export interface OldFiles {
  tryGet(inode: string): OldFile | undefined
  /** Reads a file that is seen for the first time. When `heldFd` is set afterwards, `fd` belongs to us. */
  meet(fd: number, facts: FileFacts, keep: Keep): OldFile
  /** Its content was cut off unread. */
  lose(facts: FileFacts): void
  /** Copies the content, since the file is about to change. False when it has changed already. */
  secure(file: OldFile): boolean
  /** Copies what changed its place or its name, lets go of the rest. @returns what is lost */
  finish(): readonly OldFile[]
}

/** Most files that are kept open; what comes later is copied at once. */
const HELD_LIMIT = 256

export function openOldFiles(contents: ContentSource, factsOf: (fd: number) => FileFacts): OldFiles {
  const files = new Map<string, OldFile>()
  const held = new Set<OldFile>()
  const secure = (file: OldFile): boolean => {
    const { heldFd, content } = file
    if (heldFd === undefined || content === undefined) return true
    held.delete(file)
    file.heldFd = undefined
    try {
      const copy = contents.see(heldFd, factsOf(heldFd), 'always')
      if (copy?.ref !== content.ref) return false
      file.content = copy
      return true
    } finally {
      closeSync(heldFd)
    }
  }
  return {
    tryGet: inode => files.get(inode),
    meet(fd, facts, keep) {
      const isCopied = keep === 'always' || (facts.sizeBytes > SMALL_SIZE_BYTES && held.size >= HELD_LIMIT)
      const content = contents.see(fd, facts, isCopied ? 'always' : 'if-small')
      const file: OldFile = { content, heldFd: content === undefined || content.isKept ? undefined : fd }
      if (file.heldFd !== undefined) held.add(file)
      files.set(facts.inode, file)
      return file
    },
    lose: facts => void files.set(facts.inode, { content: undefined, heldFd: undefined }),
    secure,
    finish() {
      const lost: OldFile[] = []
      for (const file of held) {
        const facts = factsOf(file.heldFd as number)
        if (facts.identity.equals(file.content?.identity ?? facts.identity)) closeSync(file.heldFd as number)
        else if (!secure(file)) lost.push(file)
      }
      return lost
    },
  }
}
