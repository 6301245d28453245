import { type Json, type Reference, uuidV5 } from '../../core/mod.ts'
import type { GraphStep } from '../graph.ts'
import { commandLine, stepName } from '../step-name.ts'
import { URL_NAMESPACE } from './cyclonedx.ts'
import { type ExportData, timeOf } from './export-subject.ts'
import { BUILD_TYPE, referenceUri } from './in-toto.ts'
import type { InstalledPackage } from './package-set.ts'

const CONTEXT = 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld'
const CREATION = '_:creation'

/**
 * SPDX 3.0.1 as JSON-LD, with the Build profile: a receipt is a `build_Build` with `hasInput` and `hasOutput`. Every
 * element is named by the reference of the artifact it is about.
 */
export function spdx3Document(data: ExportData): string {
  const { subject, steps, packages, epoch } = data
  const base = `urn:uuid:${uuidV5(URL_NAMESPACE, referenceUri(subject.tree))}`
  const agent = `${base}#asl`
  const elements = [
    { type: 'SoftwareAgent', spdxId: agent, creationInfo: CREATION, name: `asl ${subject.toolVersion}` },
    imageElement(data, base),
    ...packages.map(pkg => packageElement(data, base, pkg)),
    ...relation(
      `${base}#contains`,
      'contains',
      `${base}#image`,
      packages.map(pkg => packageId(base, pkg)),
    ),
    ...artifactElements(data),
    ...steps.flatMap(step => buildElements(step)),
  ]
  const ids = elements.map(element => element.spdxId)
  const document = {
    '@context': CONTEXT,
    '@graph': [
      { type: 'CreationInfo', '@id': CREATION, specVersion: '3.0.1', created: timeOf(epoch), createdBy: [agent] },
      {
        type: 'SpdxDocument',
        spdxId: base,
        creationInfo: CREATION,
        name: subject.name,
        profileConformance: ['core', 'software', 'build'],
        rootElement: [`${base}#image`],
        element: ids,
      },
      ...elements,
    ],
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

type Element = { readonly spdxId: string } & { readonly [key: string]: Json | undefined }

function imageElement({ subject }: ExportData, base: string): Element {
  return {
    type: 'software_Package',
    spdxId: `${base}#image`,
    creationInfo: CREATION,
    name: subject.name,
    software_primaryPurpose: 'operatingSystem',
    ...verifiedBy(subject.image?.sha256),
  }
}

function packageElement(data: ExportData, base: string, pkg: InstalledPackage): Element {
  const { artifact } = pkg
  return {
    type: 'software_Package',
    spdxId: packageId(base, pkg),
    creationInfo: CREATION,
    name: pkg.name.toWellFormed(),
    software_packageVersion: pkg.version.toWellFormed(),
    software_packageUrl: pkg.purl,
    ...(artifact !== undefined && URL.canParse(artifact.url)
      ? { software_downloadLocation: new URL(artifact.url).href }
      : {}),
    ...verifiedBy(artifact && data.digestOf(artifact.ref)),
  }
}

function packageId(base: string, pkg: InstalledPackage): string {
  return `${base}#${encodeURIComponent(pkg.purl)}`
}

/** Every artifact that a step used or made, once. */
function artifactElements({ steps, digestOf }: ExportData): readonly Element[] {
  const names = new Map<Reference, string>()
  for (const step of steps) {
    for (const { ref, name } of [...step.inputs, ...step.outputs]) if (!names.has(ref)) names.set(ref, name ?? ref)
    const root = step.details?.environment.rootRef
    if (root !== undefined && !names.has(root)) names.set(root, 'root')
  }
  for (const step of steps) names.delete(step.ref)
  return [...names].map(([ref, name]) => ({
    type: 'software_File',
    spdxId: referenceUri(ref),
    creationInfo: CREATION,
    name: name.toWellFormed(),
    ...verifiedBy(digestOf(ref)),
  }))
}

function buildElements(step: GraphStep): readonly Element[] {
  const id = referenceUri(step.ref)
  const { details } = step
  const environment = details?.environment
  const root = environment?.rootRef
  const inputs = new Set([...step.inputs.map(input => input.ref), ...(root === undefined ? [] : [root])])
  return [
    {
      type: 'build_Build',
      spdxId: id,
      creationInfo: CREATION,
      name: stepName(step),
      build_buildType: BUILD_TYPE,
      build_buildId: step.ref,
      ...(details === undefined ? {} : { build_parameter: [entry('command', commandLine(details.command))] }),
      ...(environment === undefined
        ? {}
        : { build_environment: Object.entries(environment.vars).map(([key, value]) => entry(key, value)) }),
    },
    ...relation(`${id}#inputs`, 'hasInput', id, [...inputs].map(referenceUri)),
    ...relation(
      `${id}#outputs`,
      'hasOutput',
      id,
      [...new Set(step.outputs.map(output => output.ref))].map(referenceUri),
    ),
  ]
}

function entry(key: string, value: string): Json {
  return { type: 'DictionaryEntry', key: key.toWellFormed(), value: value.toWellFormed() }
}

/** A relationship to nothing is none. */
function relation(spdxId: string, relationshipType: string, from: string, to: readonly string[]): readonly Element[] {
  return to.length === 0 ? [] : [{ type: 'Relationship', spdxId, creationInfo: CREATION, from, relationshipType, to }]
}

function verifiedBy(sha256: string | undefined): { readonly verifiedUsing?: readonly Json[] } {
  return sha256 === undefined ? {} : { verifiedUsing: [{ type: 'Hash', algorithm: 'sha256', hashValue: sha256 }] }
}
