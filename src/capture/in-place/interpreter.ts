import type { RawPath } from './raw-path.ts'

/** The program that a `#!` line names, execve(2); the path may be relative, then nobody can say from where. */
export function scriptInterpreter(head: Buffer): RawPath | undefined {
  if (head[0] !== 0x23 || head[1] !== 0x21) return undefined
  const line = /^#![ \t]*([^ \t\n]+)/.exec(head.toString('latin1'))
  return line?.[1]?.startsWith('/') === true ? (line[1] as RawPath) : undefined
}

const PT_INTERP = 3

/** The dynamic linker that an ELF file asks for, elf(5); `undefined` for a static one. The file may be hostile. */
export function elfInterpreter(head: Buffer): RawPath | undefined {
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[5] !== 1) return undefined
  const is64 = head[4] === 2
  const table = is64 ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28)
  const entrySize = head.readUInt16LE(is64 ? 54 : 42)
  const count = head.readUInt16LE(is64 ? 56 : 44)
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize
    if (at + (is64 ? 56 : 32) > head.length) return undefined
    if (head.readUInt32LE(at) !== PT_INTERP) continue
    const offset = is64 ? Number(head.readBigUInt64LE(at + 8)) : head.readUInt32LE(at + 4)
    const size = is64 ? Number(head.readBigUInt64LE(at + 32)) : head.readUInt32LE(at + 16)
    if (size < 2 || offset + size > head.length) return undefined
    const path = head.toString('latin1', offset, offset + size - 1)
    return path.startsWith('/') ? (path as RawPath) : undefined
  }
  return undefined
}
