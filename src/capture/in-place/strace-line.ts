import type { RawPath } from './raw-path.ts'

/** One line of `strace -f -y -z`. */
export type StraceLine =
  /** A call that succeeded. */
  | { readonly kind: 'call'; readonly pid: number; readonly call: TracedCall }
  | { readonly kind: 'end'; readonly pid: number }
  /** A thread that was not the first has executed a program: it goes on under this pid, and its call is not shown. */
  | { readonly kind: 'superseded'; readonly pid: number }
  /** A call that does not read as one: something was missed. */
  | { readonly kind: 'unreadable'; readonly pid: number }

export interface TracedCall {
  readonly name: string
  /** As printed; {@link quotedText}, {@link descriptorPath} and {@link hasFlag} read them. */
  readonly args: readonly string[]
  readonly result: string
}

const LINE = /^(\d+) +(?:([a-z0-9_]+)\(|\+\+\+ (superseded)?)/

/** One character per byte. `undefined` for a line that says neither: what strace tells about itself. */
export function parseStraceLine(line: string): StraceLine | undefined {
  const found = LINE.exec(line)
  if (found === null) return undefined
  const pid = Number(found[1])
  if (found[2] === undefined) return { kind: found[3] === undefined ? 'end' : 'superseded', pid }
  const args: string[] = []
  const end = splitArguments(line, found[0].length, args)
  const result = line.indexOf('=', end)
  if (end < 0 || result < 0) return { kind: 'unreadable', pid }
  return { kind: 'call', pid, call: { name: found[2] as string, args, result: line.slice(result + 1).trim() } }
}

/** Cuts at the commas outside quotes, brackets and `<…>`. @returns the place after the closing bracket, -1 for none */
function splitArguments(line: string, from: number, args: string[]): number {
  let start = from
  let depth = 0
  for (let at = from; at < line.length; at++) {
    switch (line[at]) {
      case '"':
        at = endOfQuoted(line, at)
        break
      case '<':
        at = line.indexOf('>', at)
        if (at < 0) return -1
        break
      case '(':
      case '[':
      case '{':
        depth++
        break
      case ']':
      case '}':
        depth--
        break
      case ')':
        if (depth-- > 0) break
        if (at > start) args.push(line.slice(start, at).trim())
        return at + 1
      case ',':
        if (depth > 0) break
        args.push(line.slice(start, at).trim())
        start = at + 1
        break
    }
  }
  return -1
}

function endOfQuoted(line: string, open: number): number {
  for (let at = open + 1; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line[at] === '"') return at
  }
  return line.length
}

/** The bytes of a quoted argument, one character each; `undefined` for a pointer or NULL. */
export function quotedText(arg: string | undefined): string | undefined {
  if (arg === undefined || arg[0] !== '"') return undefined
  return unescapeC(arg.slice(1, endOfQuoted(arg, 0)))
}

/** What `-y` shows behind a descriptor: `3</path>`; `undefined` when it has no path. */
export function descriptorPath(arg: string | undefined): RawPath | undefined {
  const open = arg?.indexOf('<') ?? -1
  if (arg === undefined || open < 0) return undefined
  const text = unescapeC(arg.slice(open + 1, arg.indexOf('>', open)))
  return text.startsWith('/') ? (text as RawPath) : undefined
}

/** True when the descriptor's file has no name any more. */
export function isDeletedDescriptor(arg: string | undefined): boolean {
  return arg?.endsWith('(deleted)') === true
}

/** The text behind a descriptor that is no path: `memfd:x`, `socket:[7]`. */
export function descriptorText(arg: string | undefined): string {
  const open = arg?.indexOf('<') ?? -1
  return arg === undefined || open < 0 ? '' : unescapeC(arg.slice(open + 1, arg.indexOf('>', open)))
}

export function hasFlag(arg: string | undefined, flag: string): boolean {
  return arg?.split(/[^A-Z0-9_]+/).includes(flag) === true
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f' }

function unescapeC(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))/gs, (_, octal?: string, hex?: string, other?: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return ESCAPES[other as string] ?? (other as string)
  })
}
