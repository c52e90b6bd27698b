/** `@nodeglass/react`: hooks and charts over `@nodeglass/client`. */

export { NodeglassProvider, makeQueryClient, useClient, useLiveHosts } from "./provider.tsx";
export {
  bounds,
  useAgents,
  useHistory,
  useKeys,
  useLedger,
  useMetrics,
  useMetricsStream,
  useProcesses,
  useSystemInfo,
  useTasks,
  useTimeline,
} from "./hooks.ts";
export type { Span } from "./hooks.ts";
export { deriveLate, useLate } from "./late.ts";
export type { LateSpan } from "./late.ts";
export { LiveHost, LiveHosts } from "./live.ts";
export type { LiveStatus } from "./live.ts";
export { Timeline } from "./timeline.ts";
export { ago, duration, exact, moment, show } from "./units.ts";
export type { ShownUnit } from "./units.ts";
export { MOST_SERIES, PANELS, largest, panel } from "./panels.ts";
export type { Drawn, Panel, Size } from "./panels.ts";
export { AXIS_WIDTH, RIGHT_PX, cameLate, colour } from "./chart/paint.ts";
export { reasonOf } from "./chart/gaps.ts";
export type { Lane } from "./chart/gaps.ts";
export { usePoints } from "./chart/points.ts";
export { HeatChart } from "./chart/HeatChart.tsx";
export { TimeChart } from "./chart/TimeChart.tsx";
export type { ChartSeries, TimeChartProps } from "./chart/TimeChart.tsx";
export { ChartViewProvider, Cursor, useChartView } from "./chart/view.ts";
export type { ChartView } from "./chart/view.ts";
export { TimePanel, words } from "./components/TimePanel.tsx";
export {
  CpuCoresChart,
  CpuUsageChart,
  DiskThroughputChart,
  DiskUsageChart,
  LoadChart,
  MemoryUsageChart,
  NetworkUsageChart,
} from "./components/charts.tsx";
export { SystemInfoCard } from "./components/SystemInfoCard.tsx";
export { AgentMetricsDashboard } from "./components/AgentMetricsDashboard.tsx";
