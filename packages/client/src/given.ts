/** Members that may be left out, by saying `undefined` too. */
export type Given<T> = { [Name in keyof T]?: T[Name] | undefined };

/** Only the members that say something, so that they can be spread over defaults. */
export function given<T extends object>(options: T | undefined): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]: Exclude<T[Name], undefined>;
  };
}
