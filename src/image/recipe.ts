import { Value } from 'typebox/value'
import { LineCounter, parseDocument } from 'yaml'
import { AslError, nearestNames } from '../core/mod.ts'
import { RECIPE_SCHEMA, type Recipe } from './recipe-schema.ts'

const MAX_RECIPE_SIZE_BYTES = 1024 * 1024

/**
 * Reads a recipe. Everything wrong with it is said at once, each with its line and column.
 * @throws AslError RECIPE_INVALID
 */
export function parseRecipe(text: string, path: string): Recipe {
  if (text.length > MAX_RECIPE_SIZE_BYTES)
    throw invalid(path, [`it has ${text.length} characters, more than a recipe can need`])
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2' })
  const syntax = [...document.errors].map(error => `line ${error.linePos?.[0].line}: ${firstLine(error.message)}`)
  if (syntax.length > 0) throw invalid(path, syntax)
  const value: unknown = document.toJS({ maxAliasCount: 0 })
  const place = (pointer: string): string => {
    const parts = pointer.split('/').slice(1).map(unescapePointer)
    const node = document.getIn(parts, true) as { range?: [number, number, number] } | undefined
    const position = lines.linePos(node?.range?.[0] ?? 0)
    return `line ${position.line}, column ${position.col}`
  }
  const findings = findingsOf(value).map(({ pointer, reason }) => `${place(pointer)}: ${reason}`)
  if (findings.length > 0) throw invalid(path, findings)
  const recipe = value as Recipe
  const names = (recipe.steps ?? []).map(step => step.name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalid(path, [`step "${twice}" stands there twice`])
  return recipe
}

interface Finding {
  /** JSON pointer. */
  readonly pointer: string
  readonly reason: string
}

/** Unknown keys first: a mistyped key is also a missing one. */
function findingsOf(value: unknown): Finding[] {
  const unknown: Finding[] = []
  const findings: Finding[] = []
  for (const error of Value.Errors(RECIPE_SCHEMA, value)) {
    const at = error.instancePath
    const params = error.params as { additionalProperties?: string[]; requiredProperties?: string[] }
    switch (error.keyword) {
      case 'boolean':
        break // said again, with the key's name, by additionalProperties
      case 'additionalProperties':
        for (const key of params.additionalProperties ?? []) {
          unknown.push({ pointer: `${at}/${escapePointer(key)}`, reason: unknownKey(key, knownKeys(at)) })
        }
        break
      case 'required':
        findings.push({
          pointer: at,
          reason: `key ${params.requiredProperties?.map(key => `"${key}"`).join(', ')} is missing`,
        })
        break
      default:
        findings.push({ pointer: at, reason: `${at.slice(1).replaceAll('/', '.') || 'the recipe'} ${error.message}` })
    }
  }
  return [...unknown, ...findings]
}

function unknownKey(key: string, known: readonly string[]): string {
  const [meant] = nearestNames(key, known)
  return `key "${key}" is not known${meant === undefined ? `; known here: ${known.join(', ')}` : `; did you mean "${meant}"?`}`
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
}

function knownKeys(pointer: string): string[] {
  let node: SchemaNode | undefined = RECIPE_SCHEMA as SchemaNode
  for (const part of pointer.split('/').slice(1)) node = node?.properties?.[unescapePointer(part)] ?? node?.items
  return Object.keys(node?.properties ?? {})
}

function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1')
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}

function firstLine(message: string): string {
  return message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? message
}

function invalid(path: string, findings: readonly string[]): AslError {
  const [first, ...more] = findings
  const rest = more.length === 0 ? {} : { hint: more.join('\n  ') }
  return new AslError('RECIPE_INVALID', `Recipe ${path}, ${first}`, { ...rest, details: { path, findings } })
}
