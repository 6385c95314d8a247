/** Objects that belong to others, or to everything: what hangs below them is not the library's memory. */
const FOREIGN =
  /^(?:DataSource|Client|Pool|Socket|Server|FastifyAdapter|ModuleRef|ModulesContainer|DiscoveryService|Reflector|Logger|NestContainer|HttpAdapterHost|BoundClient|.*Subject|.*Subscription|Timeout|AbortController|AbortSignal|Promise)$/;
const MAX_DEPTH = 4;

/** The sizes of all maps, sets and lists that a process's services hold, by where they hang. */
export function collectionSizes(services: readonly object[]): Record<string, number> {
  const sizes: Record<string, number> = {};
  const seen = new Set<object>();
  for (const service of services) visit(service, service.constructor.name, 0, { sizes, seen });
  return sizes;
}

interface Visit {
  sizes: Record<string, number>;
  seen: Set<object>;
}

function visit(target: object, path: string, depth: number, state: Visit): void {
  if (state.seen.has(target)) return;
  state.seen.add(target);
  const size = sizeOf(target);
  if (size !== undefined) {
    state.sizes[path] = (state.sizes[path] ?? 0) + size;
    return;
  }
  if (depth === MAX_DEPTH || FOREIGN.test(target.constructor?.name ?? 'Object')) return;
  for (const [key, value] of Object.entries(target)) {
    if (typeof value === 'object' && value !== null) visit(value as object, `${path}.${key}`, depth + 1, state);
  }
}

function sizeOf(target: object): number | undefined {
  if (target instanceof Map || target instanceof Set) return target.size;
  return Array.isArray(target) ? target.length : undefined;
}
