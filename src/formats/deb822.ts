import { AslError } from '../core/mod.ts'
import type { ByteStream } from './byte-reader.ts'

/**
 * A paragraph of a control file (deb822(5)): field names in lower case, since they are case-insensitive, in the order
 * of the file. Further lines of a value follow after a line feed, without the space they begin with.
 */
export type Paragraph = ReadonlyMap<string, string>

export interface ParagraphOptions {
  /** Keep these fields only, lower case: most of a package index is text that nobody asks for. */
  readonly fields?: ReadonlySet<string>
}

/**
 * The paragraphs of a control file in constant memory. Values share nothing with the input, so that keeping one does
 * not keep the file.
 * @throws AslError FORMAT_INVALID that names the line; LIMIT_EXCEEDED for a paragraph over 4 MiB
 */
export async function* readParagraphs(
  stream: ByteStream,
  name: string,
  options: ParagraphOptions = {},
): AsyncGenerator<Paragraph, void, undefined> {
  for await (const { content, lineNumber } of readWholeParagraphs(stream, name)) {
    yield* parseLines(content, name, lineNumber, options)
  }
}

/** A piece of a control file that ends where a paragraph ends, and the line it starts on. */
interface Whole {
  readonly content: Buffer
  readonly lineNumber: number
}

async function* readWholeParagraphs(stream: ByteStream, name: string): AsyncGenerator<Whole> {
  let rest: Buffer = Buffer.alloc(0)
  let lineNumber = 1
  for await (const piece of stream) {
    rest = rest.length === 0 ? asBuffer(piece) : Buffer.concat([rest, piece])
    const end = rest.lastIndexOf(PARAGRAPH_END)
    if (end !== -1) {
      const content = rest.subarray(0, end + PARAGRAPH_END.length)
      yield { content, lineNumber }
      lineNumber += countLines(content)
      rest = rest.subarray(content.length)
    }
    if (rest.length > MAX_PARAGRAPH_SIZE_BYTES) {
      throw new AslError('LIMIT_EXCEEDED', `${name}: the paragraph at line ${lineNumber} is larger than 4 MiB`)
    }
  }
  if (rest.length > 0) yield { content: rest, lineNumber }
}

function countLines(content: Buffer): number {
  let count = 0
  for (let at = content.indexOf(LINE_FEED); at !== -1; at = content.indexOf(LINE_FEED, at + 1)) count++
  return count
}

/**
 * The same paragraphs as bytes, for a reader that keeps many and looks into few: of each one the lines of the fields
 * asked for, their names in lower case. Nothing is checked; `parseParagraph` does that when one is looked into.
 * A buffer holds until the next one is asked for.
 */
export async function* readParagraphBytes(
  stream: ByteStream,
  name: string,
  fields: ReadonlySet<string>,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const { content } of readWholeParagraphs(stream, name)) {
    const kept = Buffer.allocUnsafe(content.length + 1)
    let size = 0
    let isKeeping = false
    for (let start = 0; start < content.length; ) {
      const feed = content.indexOf(LINE_FEED, start)
      const end = feed === -1 ? content.length : feed
      const first = content[start]
      if (isBlank(content, start, end)) {
        if (size > 0) yield kept.subarray(0, size)
        size = 0
        isKeeping = false
      } else if (first !== COMMENT) {
        let from = start
        if (first !== SPACE && first !== TAB) {
          const colon = content.indexOf(COLON, start)
          const key = colon === -1 || colon >= end ? '' : fieldName(content.toString('latin1', start, colon))
          isKeeping = fields.has(key)
          if (isKeeping) size += kept.write(key, size, 'latin1')
          from = colon
        }
        if (isKeeping) {
          size += content.copy(kept, size, from, end)
          kept[size++] = LINE_FEED
        }
      }
      start = end + 1
    }
    if (size > 0) yield kept.subarray(0, size)
  }
}

/** @throws AslError FORMAT_INVALID */
export function parseParagraphs(bytes: Uint8Array | string, name: string, options: ParagraphOptions = {}): Paragraph[] {
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : asBuffer(bytes)
  return parseLines(content, name, 1, options)
}

/** @throws AslError FORMAT_INVALID when there is not exactly one paragraph */
export function parseParagraph(bytes: Uint8Array | string, name: string): Paragraph {
  const [first, ...others] = parseParagraphs(bytes, name)
  if (first === undefined || others.length > 0) {
    throw new AslError(
      'FORMAT_INVALID',
      `${name} has ${first === undefined ? 0 : others.length + 1} paragraphs, not one`,
    )
  }
  return first
}

/** @throws AslError FORMAT_INVALID when the field is missing or empty */
export function requireField(paragraph: Paragraph, field: string, name: string): string {
  const value = paragraph.get(field)
  if (value === undefined || value === '') throw new AslError('FORMAT_INVALID', `${name} has no field "${field}"`)
  return value
}

const PARAGRAPH_END = Buffer.from('\n\n')
const MAX_PARAGRAPH_SIZE_BYTES = 4 * 1024 * 1024
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const TAB = 0x09
const COLON = 0x3a
const COMMENT = 0x23

function parseLines(content: Buffer, name: string, firstLineNumber: number, options: ParagraphOptions): Paragraph[] {
  const paragraphs: Paragraph[] = []
  const { fields } = options
  let paragraph = new Map<string, string>()
  let isStarted = false
  /** The field that the next continuation line belongs to; `undefined` for one that is not kept. */
  let field: string | undefined
  let line = firstLineNumber
  const fail = (reason: string): AslError => new AslError('FORMAT_INVALID', `${name}, line ${line}: ${reason}`)
  for (let start = 0; start < content.length; line++) {
    let end = content.indexOf(LINE_FEED, start)
    if (end === -1) end = content.length
    const first = content[start]
    const next = end + 1
    if (isBlank(content, start, end)) {
      if (isStarted) paragraphs.push(paragraph)
      paragraph = new Map()
      isStarted = false
      field = undefined
    } else if (first === SPACE || first === TAB) {
      if (!isStarted) throw fail('a continuation line without a field')
      if (field !== undefined) {
        paragraph.set(field, `${paragraph.get(field)}\n${trimmedEnd(content, start + 1, end)}`)
      }
    } else if (first !== COMMENT) {
      const colon = content.indexOf(COLON, start)
      if (colon === -1 || colon >= end || colon === start) throw fail('no "Field: value"')
      isStarted = true
      const key = fieldName(content.toString('latin1', start, colon))
      field = fields === undefined || fields.has(key) ? key : undefined
      if (field !== undefined) {
        if (paragraph.has(field)) throw fail(`field "${field}" is there twice`)
        let valueStart = colon + 1
        while (valueStart < end && (content[valueStart] === SPACE || content[valueStart] === TAB)) valueStart++
        paragraph.set(field, trimmedEnd(content, valueStart, end))
      }
    }
    start = next
  }
  if (isStarted) paragraphs.push(paragraph)
  return paragraphs
}

const lowerCase = new Map<string, string>()

/** Field names repeat: each spelling is folded once. Foreign names are many at most once, so the table is bounded. */
function fieldName(spelling: string): string {
  const known = lowerCase.get(spelling)
  if (known !== undefined) return known
  const folded = spelling.toLowerCase()
  if (lowerCase.size < 1000) lowerCase.set(spelling, folded)
  return folded
}

function isBlank(content: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = content[i]
    if (byte !== SPACE && byte !== TAB && byte !== CARRIAGE_RETURN) return false
  }
  return true
}

function trimmedEnd(content: Buffer, start: number, end: number): string {
  let stop = end
  while (stop > start && (content[stop - 1] as number) <= SPACE) stop--
  return content.toString('utf8', start, stop)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
