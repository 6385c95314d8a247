import { isAllowedType, uploadName } from '../../lib/controllers/upload-name.js';

describe('upload names', () => {
  it.each([
    ['report.csv', 'report.csv'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\ada\\Liste März.csv', 'Liste März.csv'],
    ['/mixed\\path/x.txt', 'x.txt'],
    ['a\0b\r\nc\u0085.txt', 'abc.txt'],
    ['half\ud800.txt', 'half.txt'],
    ['  padded.txt  ', 'padded.txt'],
  ])('reduces %j to its last part', (fileName, name) => {
    expect(uploadName(fileName)).toBe(name);
  });

  it.each(['', '   ', 'folder/', '..', 'a/.', '\0'])('finds no name in %j', (fileName) => {
    expect(uploadName(fileName)).toBeUndefined();
  });

  it('cuts a name at 255 characters without leaving half a surrogate pair', () => {
    expect(uploadName('x'.repeat(300))).toBe('x'.repeat(255));
    expect(uploadName(`${'x'.repeat(254)}😀.txt`)).toBe('x'.repeat(254));
  });
});

describe('upload content types', () => {
  it('accepts every well-formed type when none is named', () => {
    expect(isAllowedType('application/vnd.ms-excel', undefined)).toBe(true);
    expect(['text', 'text/', 'text/a b', '', 'a/b/c'].map((type) => isAllowedType(type, undefined))).not.toContain(
      true,
    );
  });

  it('matches named types and families', () => {
    const allowed = ['text/csv', 'image/*'];
    expect(['text/csv', 'image/png'].every((type) => isAllowedType(type, allowed))).toBe(true);
    expect(['text/plain', 'imagery/png', 'application/image'].some((type) => isAllowedType(type, allowed))).toBe(false);
    expect(isAllowedType('text/csv', [])).toBe(false);
  });
});
