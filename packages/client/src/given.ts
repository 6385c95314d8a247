/** Members that may be left out, by saying `undefined` too. */
export type Given<T> = { [Name in keyof T]?: T[Name] | undefined };

/** Only the members that say something, so that they can be spread over defaults. */
export function given<T extends object>(options: Given<T> | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;
}
