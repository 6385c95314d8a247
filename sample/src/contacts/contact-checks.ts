/** The columns of a contacts file; others are ignored. */
export const CONTACT_COLUMNS = ['name', 'email', 'phone', 'company'] as const;

export type ContactColumn = (typeof CONTACT_COLUMNS)[number];

export type ContactFields = Record<ContactColumn, string>;

/** The first thing that is wrong with a row. */
export interface ContactProblem {
  column: ContactColumn;
  problem: string;
}

const EMAIL = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;
const PHONE = /^\+?\(?\d(?:[ ().-]*\d){6,14}$/;
const UNREADABLE = /[\p{Cc}\uFFFD]/u;

const CHECKS: Record<ContactColumn, (value: string) => string | undefined> = {
  name: (value) => (value === '' ? 'is missing' : undefined),
  email: (value) => (value === '' ? 'is missing' : EMAIL.test(value) ? undefined : 'is not an email address'),
  phone: (value) => (value === '' || PHONE.test(value) ? undefined : 'is not a phone number'),
  company: () => undefined,
};

/** `undefined` for a row that can be imported. */
export function findProblem(fields: ContactFields): ContactProblem | undefined {
  for (const column of CONTACT_COLUMNS) {
    const problem = checkText(fields[column]) ?? CHECKS[column](fields[column]);
    if (problem !== undefined) return { column, problem };
  }
  return undefined;
}

function checkText(value: string): string | undefined {
  if (value.length > 200) return 'is longer than 200 characters';
  return UNREADABLE.test(value) ? 'contains characters that are not UTF-8 text' : undefined;
}
