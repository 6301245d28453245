/**
 * The serial console as lines of text. A guest controls every byte: escape sequences are taken out before a line
 * reaches a terminal or a log, and an endless line is cut.
 */
export interface ConsoleLines {
  push(chunk: Uint8Array): void
  /** What stands after the last line end, as a line. */
  end(): void
}

const MAX_LINE_CHARS = 8192

export function consoleLines(onLine: (line: string) => void): ConsoleLines {
  const decoder = new TextDecoder('utf-8')
  let rest = ''
  const emit = (line: string): void => onLine(plainText(line))
  const take = (text: string): void => {
    rest += text
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) emit(line)
    if (rest.length > MAX_LINE_CHARS) {
      emit(rest)
      rest = ''
    }
  }
  return {
    push: chunk => take(decoder.decode(chunk, { stream: true })),
    end() {
      take(decoder.decode())
      if (rest !== '') emit(rest)
      rest = ''
    },
  }
}

const ESC = '\u001b'
const BEL = '\u0007'

/** ECMA-48: control sequences, operating system commands, and short escapes. Every repetition has a limit. */
const ESCAPES = new RegExp(
  [
    `(?:${ESC}\\[|\u009b)[0-?]{0,64}[ -/]{0,8}[@-~]`,
    `${ESC}\\][^${BEL}${ESC}]{0,512}(?:${BEL}|${ESC}\\\\)?`,
    `${ESC}[ -/]{0,4}[0-~]`,
  ].join('|'),
  'g',
)
const CONTROLS = /[^\P{Cc}\t]/gu

export function plainText(line: string): string {
  // a carriage return inside a line overwrites it on a terminal; kept as a blank, both parts are seen
  return line.replace(/\r+$/, '').replace(ESCAPES, '').replace(/\r/g, ' ').replace(CONTROLS, '')
}
