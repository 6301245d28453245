import { type Json, uuidV5 } from '../../core/mod.ts'
import { commandLine, stepName } from '../step-name.ts'
import type { ExportData } from './export-subject.ts'
import { referenceUri } from './in-toto.ts'
import type { InstalledPackage } from './package-set.ts'

/** The URL namespace of RFC 9562, appendix B. */
export const URL_NAMESPACE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8'

/**
 * CycloneDX 1.7 (ECMA-424): the packages as components, the steps as a formulation. The serial number follows from the
 * root tree and there is no time stamp, so that the same image gives the same document.
 */
export function cyclonedxBom(data: ExportData): string {
  const { subject, packages, steps } = data
  const root = {
    type: 'operating-system',
    'bom-ref': referenceUri(subject.tree),
    name: subject.name,
    ...hashesOf(subject.image?.sha256),
    properties: [{ name: 'asl:root_tree', value: subject.tree }],
  }
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.7.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.7',
    serialNumber: `urn:uuid:${uuidV5(URL_NAMESPACE, referenceUri(subject.tree))}`,
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'asl', version: subject.toolVersion }] },
      component: root,
    },
    components: packages.map(pkg => componentOf(data, pkg)),
    dependencies: [{ ref: root['bom-ref'], dependsOn: packages.map(pkg => pkg.purl) }],
    formulation: [
      {
        'bom-ref': 'formulation',
        workflows: [
          {
            'bom-ref': 'build',
            uid: referenceUri(subject.receiptRef ?? subject.tree),
            name: `build of ${subject.name}`,
            taskTypes: ['build'],
            tasks: steps.map(step => taskOf(data, step)),
          },
        ],
      },
    ],
  }
  return `${JSON.stringify(bom, undefined, 2)}\n`
}

function componentOf(data: ExportData, pkg: InstalledPackage): Json {
  const { artifact } = pkg
  return {
    type: 'library',
    'bom-ref': pkg.purl,
    name: pkg.name.toWellFormed(),
    version: pkg.version.toWellFormed(),
    purl: pkg.purl,
    ...hashesOf(artifact && data.digestOf(artifact.ref)),
    ...(artifact === undefined ? {} : { externalReferences: [{ type: 'distribution', url: uriOf(artifact.url) }] }),
  }
}

function taskOf(data: ExportData, step: ExportData['steps'][number]): Json {
  const resource = (entry: { readonly ref: ExportData['subject']['tree']; readonly name?: string }): Json => ({
    externalReference: {
      type: 'other',
      url: referenceUri(entry.ref),
      ...(entry.name === undefined ? {} : { comment: entry.name.toWellFormed() }),
      ...hashesOf(data.digestOf(entry.ref)),
    },
  })
  const root = step.details?.environment.rootRef
  const inputs = [...step.inputs, ...(root === undefined ? [] : [{ ref: root, name: 'root' }])]
  const executed = step.details === undefined ? undefined : commandLine(step.details.command)
  return {
    'bom-ref': referenceUri(step.ref),
    uid: referenceUri(step.ref),
    name: stepName(step),
    taskTypes: ['build'],
    ...(executed === undefined ? {} : { steps: [{ name: stepName(step), commands: [{ executed }] }] }),
    ...(inputs.length === 0 ? {} : { inputs: unique(inputs.map(entry => ({ resource: resource(entry) }))) }),
    ...(step.outputs.length === 0
      ? {}
      : { outputs: unique(step.outputs.map(entry => ({ type: 'artifact', resource: resource(entry) }))) }),
  }
}

/** The schema wants no entry twice; one artifact may have two names. */
function unique(entries: readonly Json[]): readonly Json[] {
  return [...new Map(entries.map(entry => [JSON.stringify(entry), entry])).values()]
}

function hashesOf(sha256: string | undefined): { readonly hashes?: readonly Json[] } {
  return sha256 === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: sha256 }] }
}

/** A URL of a manifest is foreign text: anything that is not one becomes an escaped one. */
function uriOf(text: string): string {
  return URL.canParse(text) ? new URL(text).href : `urn:asl:name:${encodeURIComponent(text.toWellFormed())}`
}
