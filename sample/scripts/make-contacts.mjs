// Writes sample/data/contacts-5000.csv: made-up people, the same ones each time, every hundredth or so of them broken.
//   node sample/scripts/make-contacts.mjs [rows] [file]
import { writeFileSync } from 'node:fs';

const rows = Number(process.argv[2] ?? 5000);
const file = process.argv[3] ?? new URL('../data/contacts-5000.csv', import.meta.url);

const FIRST =
  'Ada Ben Carla Deniz Elif Farid Greta Hiro Ines Jonas Kavya Luca Mei Noor Olga Pavel Rosa Samir Tove Yusuf';
const LAST =
  'Abel Brandt Costa Diaz Endo Fischer García Haddad Ito Jensen Kaya Lind Moreau Nowak Okafor Petrov Šimek Tran';
const COMPANIES = [
  'Harbour & Sons',
  'Northwind Press',
  '"Quill" Studio',
  'Lantern, Moss and Co.',
  'Tidewater Labs',
  '',
];

const BREAKAGES = [
  (contact) => ({ ...contact, name: '' }),
  (contact) => ({ ...contact, email: contact.email.replace('@', ' at ') }),
  (contact) => ({ ...contact, email: '' }),
  (contact) => ({ ...contact, phone: '555-CALL-ME' }),
  (contact) => ({ ...contact, phone: '12' }),
];

const random = seededRandom(20_260_101);
const pick = (list) => list[Math.floor(random() * list.length)];

/** A small generator with a seed (mulberry32), because Math.random has none. */
function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function makeContact(number) {
  const [first, last] = [pick(FIRST.split(' ')), pick(LAST.split(' '))];
  const mailbox = `${first}.${last}.${number}`
    .normalize('NFD')
    .replace(/[^\w.]/g, '')
    .toLowerCase();
  const phone = `+1 555 ${String(number)
    .padStart(7, '0')
    .replace(/(...)(....)/, '$1 $2')}`;
  return { name: `${first} ${last}`, email: `${mailbox}@example.com`, phone, company: pick(COMPANIES) };
}

const quote = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const lines = ['name,email,phone,company'];
for (let number = 1; number <= rows; number++) {
  const contact = makeContact(number);
  const written = random() < 0.012 ? pick(BREAKAGES)(contact) : contact;
  lines.push(Object.values(written).map(quote).join(','));
}
writeFileSync(file, `${lines.join('\n')}\n`);
