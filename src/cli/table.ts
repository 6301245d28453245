import { printable } from './format.ts'

export interface TableOptions {
  readonly head?: readonly string[]
  /** Indices of the columns that hold numbers: aligned to the right. */
  readonly right?: readonly number[]
  /** Spaces before each line. */
  readonly indent?: number
}

/** Rows as lines with columns aligned, two spaces apart; what comes from outside cannot break out of its cell. */
export function tableLines(rows: readonly (readonly string[])[], options: TableOptions = {}): readonly string[] {
  const all = [...(options.head === undefined ? [] : [options.head]), ...rows].map(row => row.map(printable))
  const widths: number[] = []
  for (const row of all) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, textWidth(cell))
  }
  const pad = (cell: string, index: number): string => {
    const space = ' '.repeat((widths[index] ?? 0) - textWidth(cell))
    return options.right?.includes(index) === true ? space + cell : cell + space
  }
  const margin = ' '.repeat(options.indent ?? 0)
  const lines = all.map(row => (margin + row.map(pad).join('  ')).trimEnd())
  if (options.head !== undefined) lines.splice(1, 0, margin + widths.map(width => '─'.repeat(width)).join('  '))
  return lines
}

/** Columns a text takes on a terminal: marks that combine take none, East Asian wide characters and emoji take two. */
export function textWidth(text: string): number {
  let width = 0
  for (const char of text) {
    if (/\p{Mark}|\u200d|\ufe0f/u.test(char)) continue
    width += WIDE.test(char) ? 2 : 1
  }
  return width
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
