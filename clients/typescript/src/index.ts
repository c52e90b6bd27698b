/** `@nodeglass/client`: everything that a page or a program needs to ask a Nodeglass server. */

export { NodeglassClient, NodeglassClient as MetricsClient } from "./client.ts";
export type { CallOptions, ClientOptions, Moment, Parameters } from "./transport.ts";
export { ApiError, isFinal } from "./errors.ts";
export { MetricsStream } from "./stream.ts";
export type { StreamOptions, StreamState } from "./stream.ts";
export { parseLines } from "./lines.ts";
export { parseEvents } from "./events.ts";
export type { ServerEvent } from "./events.ts";
export { valueOf, devicesOf, metricOf, splitSeries } from "./series.ts";
export { METRICS } from "./catalogue.ts";
export type { Metric, Unit } from "./catalogue.ts";
export type * from "./types.ts";
