import type { Finding, ProbePlace } from './finding.ts'
import { probeDisk, probeFuse, probeKernel, probeKvm, probeMemory } from './machine.ts'
import { probeIdRanges, probeOverlay, probeUserNamespaces } from './namespaces.ts'
import { probeFanotify, probeStrace } from './observers.ts'

/** Asks the host everything, in the order in which a reader wants to know. */
export async function probeHost(place: ProbePlace): Promise<readonly Finding[]> {
  return await Promise.all([
    probeKernel(place),
    probeUserNamespaces(place),
    probeIdRanges(place),
    probeOverlay(place),
    probeFanotify(place),
    probeStrace(place),
    probeKvm(place),
    probeFuse(),
    probeMemory(),
    probeDisk(place),
  ])
}
