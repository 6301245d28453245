import { AslError } from '../../core/mod.ts'
import { resolveFile, showPath } from '../../store/mod.ts'
import { openStoreOf, referenceArgument } from '../open-store.ts'
import { type Context, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'cat',
  group: 'Store',
  summary: 'print the content of an artifact, or of a file in a tree',
  description:
    'The bytes as they are, without the artifact header. They are checked while they pass: when they do not hash to REF, ' +
    'the exit status says so at the end.',
  args: [
    { name: 'REF', summary: 'a reference' },
    { name: 'PATH', summary: 'a file in the tree REF', isOptional: true },
  ],
  options: [STORE_OPTION],
  run: cat,
}

async function cat(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  try {
    let reference = referenceArgument(store, input.arg('REF'))
    const path = input.tryArg('PATH')
    if (path !== undefined) {
      const entry = resolveFile(store, reference, path)
      if (entry?.type !== 'f' || entry.ref === undefined) {
        throw new AslError('PATH_NOT_FOUND', `Tree ${reference} has no file ${showPath(path)}`)
      }
      reference = entry.ref
    }
    for (const piece of store.chunks(reference)) context.write(piece)
  } finally {
    store.close()
  }
}
