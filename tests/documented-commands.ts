/**
 * The commands that README.md, CONTRIBUTING.md and the guides tell people to type. Blocks of the language `sh` are
 * checked against the tables; further words after `sh` say who runs them:
 *
 * - `sh run`: works in any checkout that is set up; tests/integration/docs.test.ts runs it
 * - `sh run-image`: wants the image that `make image` builds; the test that has built one runs it
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface CommandBlock {
  readonly file: string
  /** Of the first command. */
  readonly line: number
  readonly marks: readonly string[]
  /** One command each, continued lines joined. */
  readonly commands: readonly string[]
}

export const DOCUMENT_PATTERNS = ['*.md', 'docs/**/*.md', 'changes/*.md', 'examples/*.md']

export function commandBlocks(root: string, language = 'sh'): readonly CommandBlock[] {
  return globSync(['README.md', 'CONTRIBUTING.md', 'docs/guide/**/*.md'], { cwd: root })
    .sort()
    .flatMap(file => blocksOf(readFileSync(join(root, file), 'utf8'), file))
    .filter(block => block.language === language)
}

/** The blocks that carry a mark, for the test that can run them. */
export function blocksToRun(root: string, mark: 'run' | 'run-image'): readonly CommandBlock[] {
  return commandBlocks(root).filter(({ marks }) => marks.includes(mark))
}

/** All fenced blocks of a page. */
export function blocksOf(text: string, file: string): readonly (CommandBlock & { readonly language: string })[] {
  const blocks: (CommandBlock & { readonly language: string })[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const open = /^ {0,3}(`{3,})(\S*)(.*)$/.exec(lines[index] as string)
    if (open === null) continue
    const [, fence = '', language = '', info = ''] = open
    const start = index + 1
    while (index + 1 < lines.length && lines[index + 1]?.trim() !== fence) index += 1
    const body = lines.slice(start, index + 1)
    index += 1
    const marks = info.split(/\s+/).filter(Boolean)
    blocks.push({ file, line: start + 1, language, marks, commands: commandsOf(body) })
  }
  return blocks
}

function commandsOf(lines: readonly string[]): readonly string[] {
  return lines
    .join('\n')
    .replace(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
}

export interface AslCall {
  readonly verb: string
  /** The words after the verb, up to `--`. */
  readonly words: readonly string[]
}

/** The call of asl in a command line, behind `sudo`, `unshare …` or variables; `undefined` when there is none. */
export function aslCallOf(command: string): AslCall | undefined {
  const words = command.match(/'[^']*'|"[^"]*"|\S+/g) ?? []
  const at = words.findIndex(word => /^(?:.*\/)?asl(?:-[a-z-]+)?$/.test(word))
  if (at < 0) return undefined
  const name = (words[at] as string).replace(/^.*\//, '')
  const rest = name === 'asl' ? words.slice(at + 1) : [name.slice('asl-'.length), ...words.slice(at + 1)]
  const end = rest.findIndex(word => ['--', '|', '>', '&&', ';'].includes(word))
  const own = end < 0 ? rest : rest.slice(0, end)
  return { verb: own[0] ?? '--help', words: own.slice(1) }
}
