// For test_sms_segments.py: as sms_split.c, by the package split-sms.
const { split } = require('split-sms');
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const made = split(JSON.parse(line));
  const gsm = made.characterSet === 'GSM';
  console.log(JSON.stringify({ gsm, units: gsm ? made.bytes : made.bytes / 2, parts: made.parts.map((part) => part.content) }));
});
