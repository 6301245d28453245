import { AslError } from '../../core/mod.ts'
import { isWithin, pathText, type RawPath, rawPath, rebasePath } from './raw-path.ts'

/** A folder of this machine that is a tree before and after the run, under a name that is the same everywhere. */
export interface NamedRoot {
  readonly name: string
  readonly path: RawPath
  /** Where the command finds it on every machine, as the receipt says it. */
  readonly neutral: RawPath
}

/** Gives files their names in manifests, and takes the builder's paths out of what the receipt says. */
export interface Naming {
  readonly roots: readonly NamedRoot[]
  /** The root that holds the path. */
  rootOf(path: RawPath): NamedRoot | undefined
  /** Declared name, path below a root, or absolute path. */
  nameOf(path: RawPath): string
  isDeclared(path: RawPath): boolean
  /** A text of the command (an argument, a folder, a variable) with root folders replaced by their neutral paths. */
  neutralText(text: string): string
}

/** Hermetic steps mount their folders below `/work`, so a receipt with named roots can be replayed as one. */
const NEUTRAL_PARENT = '/work'
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export interface NamingOptions {
  /** Name → absolute path. */
  readonly roots: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, string>>
}

/** @throws AslError USAGE for a name that is not plain, or for roots inside each other */
export function openNaming(options: NamingOptions): Naming {
  const roots = Object.entries(options.roots).map(([name, path]): NamedRoot => {
    checkName(name)
    return { name, path: rawPath(path), neutral: rawPath(`${NEUTRAL_PARENT}/${name}`) }
  })
  for (const root of roots) {
    const outer = roots.find(other => other !== root && isWithin(root.path, other.path))
    if (outer !== undefined) throw new AslError('USAGE', `Root "${root.name}" lies inside root "${outer.name}"`)
  }
  const declared = new Map<RawPath, string>()
  for (const [name, path] of Object.entries(options.files)) {
    checkName(name)
    declared.set(rawPath(path), name)
  }
  const rootOf = (path: RawPath): NamedRoot | undefined => roots.find(root => isWithin(path, root.path))
  return {
    roots,
    rootOf,
    isDeclared: path => declared.has(path),
    nameOf(path) {
      const name = declared.get(path)
      if (name !== undefined) return name
      const root = rootOf(path)
      return pathText(root === undefined ? path : rebasePath(path, root.path, rawPath(root.name)))
    },
    neutralText(text) {
      let result = text
      for (const { path, neutral } of roots) result = replacePath(result, pathText(path), pathText(neutral))
      return result
    },
  }
}

function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new AslError('USAGE', `Not a name: "${name}"`, {
    hint: 'Names have letters, digits, ".", "_" and "-", start with a letter or digit, and have at most 64 characters.',
  })
}

/** Replaces the path where it stands as a whole path or as the start of one: `/a/b` in `/a/b/c`, not in `/a/bc`. */
function replacePath(text: string, path: string, by: string): string {
  let result = ''
  let rest = text
  for (let at = rest.indexOf(path); at >= 0; at = rest.indexOf(path)) {
    const next = rest[at + path.length]
    const isWhole = next === undefined || !/[A-Za-z0-9._-]/.test(next)
    result += rest.slice(0, at) + (isWhole ? by : path)
    rest = rest.slice(at + path.length)
  }
  return result + rest
}

/** Folders that every Debian machine has: a path below them says nothing about who built. */
const COMMON_FOLDERS = /^\/(bin|sbin|lib|lib32|lib64|libx32|usr|etc|dev|proc|sys|run)(\/|$)/

/** Absolute paths in the text that belong to this machine. */
export function hostPathsIn(text: string): readonly string[] {
  const found: string[] = []
  for (const [, path] of text.matchAll(/(?:^|[\s='"`:,;(<>|&])(\/[^\s'"`:,;()<>|&]+)/g)) {
    if (path === undefined || COMMON_FOLDERS.test(path) || path === NEUTRAL_PARENT) continue
    if (!path.startsWith(`${NEUTRAL_PARENT}/`)) found.push(path)
  }
  return found
}
