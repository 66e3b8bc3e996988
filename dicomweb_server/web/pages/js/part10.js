// The little of a DICOM file (PS3.10 §7.1) that is looked at before it is sent.
const START = 4096; // bytes that hold its File Meta Information, but for rare private ones
const LONG = new Set(['OB', 'UN']); // VRs of group 0002 whose length has four bytes
const DIRECTORY = '1.2.840.10008.1.3.10';

// { isDicom, isDirectory, instance }: whether a file begins as DICOM does; whether it is the
// DICOMDIR of a disc; its SOP Instance UID, empty if it is not told.
export async function look(file) {
  const buffer = await file.slice(0, START).arrayBuffer();
  const isDicom = buffer.byteLength > 132 && ascii(buffer, 128, 4) === 'DICM';
  if (!isDicom) return { isDicom, isDirectory: false, instance: '' };
  const meta = metaOf(buffer);
  return { isDicom, isDirectory: meta.get(0x0002) === DIRECTORY, instance: meta.get(0x0003) ?? '' };
}

function metaOf(buffer) {
  const view = new DataView(buffer);
  const found = new Map();
  let at = 132;
  while (at + 12 <= buffer.byteLength && view.getUint16(at, true) === 0x0002) {
    const isLong = LONG.has(ascii(buffer, at + 4, 2));
    const length = isLong ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
    const start = at + (isLong ? 12 : 8);
    if (length <= 64) found.set(view.getUint16(at + 2, true), ascii(buffer, start, length));
    at = start + length;
  }
  return found;
}

function ascii(buffer, start, length) {
  const bytes = new Uint8Array(buffer.slice(start, start + length));
  return String.fromCharCode(...bytes).replace(/[\0 ]+$/, '');
}
