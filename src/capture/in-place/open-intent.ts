import { closeSync, constants, openSync, readSync } from 'node:fs'

/** What a thread that waits in an open will do to the file's old content. */
export type OpenIntent = 'read' | 'change' | 'truncate' | 'unknown'

/** System calls that open a file, and where their flags stand; asm/unistd.h of both machines. */
const CALLS: Readonly<Record<string, Readonly<Record<number, 'flags1' | 'flags2' | 'how2' | 'exec' | 'create'>>>> = {
  x64: { 2: 'flags1', 59: 'exec', 85: 'create', 257: 'flags2', 304: 'flags2', 322: 'exec', 437: 'how2' },
  arm64: { 56: 'flags2', 221: 'exec', 265: 'flags2', 281: 'exec', 437: 'how2' },
}

/**
 * Reads the arguments of the call in which the thread waits, from `/proc/<tid>/syscall`. They cannot change while it
 * waits, but for `openat2`, whose flags lie in memory that another thread may write: a thread that lies there hides a
 * truncation, never a read, since `unknown` and `change` are both answered by hashing first.
 */
export function openIntent(tid: number, buffer: Buffer): OpenIntent {
  let words: string[] | undefined
  // The event can be here before its thread has fallen asleep.
  for (let i = 0; i < PATIENCE; i++) {
    words = readSmall(`/proc/${tid}/syscall`, buffer, 0n)?.split(' ')
    if (words?.[0]?.startsWith('running') !== true) break
  }
  const call = CALLS[process.arch]?.[Number(words?.[0])]
  switch (call) {
    case undefined:
      return 'unknown' // io_uring, or a call of a 32-bit program
    case 'exec':
      return 'read'
    case 'create':
      return 'truncate'
    case 'flags1':
      return intentOf(Number(words?.[2]))
    case 'flags2':
      return intentOf(Number(words?.[3]))
    case 'how2':
      return intentOfHow(tid, words?.[3], buffer)
  }
}

/** A look costs some microseconds; a thread that is not asleep by then is taken as one that may do anything. */
const PATIENCE = 1000

function intentOf(flags: number): OpenIntent {
  if (!Number.isSafeInteger(flags)) return 'unknown'
  if ((flags & constants.O_TRUNC) !== 0) return 'truncate'
  return (flags & (constants.O_WRONLY | constants.O_RDWR)) === 0 ? 'read' : 'change'
}

/** `struct open_how` starts with the flags as u64. */
function intentOfHow(tid: number, pointer: string | undefined, buffer: Buffer): OpenIntent {
  if (pointer === undefined || !/^0x[0-9a-f]+$/.test(pointer)) return 'unknown'
  if (readSmall(`/proc/${tid}/mem`, buffer.subarray(0, 8), BigInt(pointer)) === undefined) return 'unknown'
  return intentOf(buffer.readUInt32LE(0))
}

/** `undefined` when the process forbids it or is gone: then the answer is `unknown`, the careful one. */
function readSmall(path: string, buffer: Buffer, position: bigint): string | undefined {
  let fd: number | undefined
  try {
    fd = openSync(path, constants.O_RDONLY)
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, position))
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
