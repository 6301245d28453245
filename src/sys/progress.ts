/**
 * How long work tells how far it is. Library rooms get a `Progress` passed in and never print; the programs choose who
 * listens. Events are values without times: the listener has the clock.
 */
export type ProgressEvent =
  | { readonly kind: 'plan'; readonly steps: number }
  | { readonly kind: 'step-start'; readonly id: string; readonly title: string }
  | ({ readonly kind: 'step-progress'; readonly id: string } & ProgressCounts)
  | {
      readonly kind: 'step-end'
      readonly id: string
      /** `cached`: a receipt was there already, nothing was run. */
      readonly state: 'built' | 'cached' | 'failed'
      readonly ms: number
    }
  | { readonly kind: 'note'; readonly text: string; readonly id?: string }

/** How much of a step is done; a total only where it is known. */
export interface ProgressCounts {
  readonly bytesDone?: number
  readonly bytesTotal?: number
  readonly itemsDone?: number
  readonly itemsTotal?: number
}

/** Must be cheap and must not throw: it is called from inner loops. */
export type Progress = (event: ProgressEvent) => void

export const noProgress: Progress = () => {}
