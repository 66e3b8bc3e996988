// The npm dicomweb-client, in a page of another origin: each method once, what it gives held
// against the files that were stored.
import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(
  new URL('./node_modules/dicomweb-client/build/dicomweb-client.js', import.meta.url),
);

// Runs in the page; `image` and `compressed` are a file each in Base64, with what it holds.
async function callEverything({ url, image, compressed }) {
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const done = [];
  const check = (what, isSo) => {
    if (!isSo) throw new Error(`the npm client: ${what}`);
    done.push(what);
  };
  const same = (what, found, expected) => {
    const [a, b] = [new Uint8Array(found), bytes(expected)];
    check(what, a.length === b.length && a.every((value, place) => value === b[place]));
  };
  const client = new window.DICOMwebClient.api.DICOMwebClient({ url });
  const stored = await client.storeInstances({
    datasets: [bytes(image.file).buffer, bytes(compressed.file).buffer],
  });
  check('a store', JSON.parse(stored)['00081199'].Value.length === 2);

  const { study, series, instance } = image;
  const uids = { studyInstanceUID: study, seriesInstanceUID: series, sopInstanceUID: instance };
  const queryParams = { StudyInstanceUID: study };
  check('a search for studies', (await client.searchForStudies({ queryParams })).length === 1);
  check('a search for series', (await client.searchForSeries(uids)).length === 1);
  check('a search for instances', (await client.searchForInstances(uids)).length === 1);

  const metadata = await client.retrieveInstanceMetadata(uids);
  check('metadata', metadata[0]['00080018'].Value[0] === instance);
  check('series metadata', (await client.retrieveSeriesMetadata(uids)).length === 1);
  check('study metadata', (await client.retrieveStudyMetadata(uids)).length === 1);

  same('an instance', await client.retrieveInstance(uids), image.file);
  same('a series', (await client.retrieveSeries(uids))[0], image.file);
  same('a study', (await client.retrieveStudy(uids))[0], image.file);
  const [frame] = await client.retrieveInstanceFrames({ ...uids, frameNumbers: [1] });
  same('a frame', frame, image.frame);
  const { BulkDataURI } = metadata[0]['7FE00010'];
  same('bulk data', (await client.retrieveBulkData({ BulkDataURI }))[0], image.frame);

  const starts = ([found], expected) =>
    expected.every((value, place) => new Uint8Array(found)[place] === value);
  const [jpeg, png] = [[0xff, 0xd8], [0x89, 0x50, 0x4e, 0x47]];
  const ofType = (mediaType) => ({ mediaTypes: [{ mediaType }] });
  check('a rendered instance', starts(await client.retrieveInstanceRendered(uids), jpeg));
  const asPng = { ...uids, ...ofType('image/png'), queryParams: { viewport: '16,16' } };
  check('a small PNG', starts(await client.retrieveInstanceRendered(asPng), png));
  const first = { ...uids, frameNumbers: [1] };
  const asJpeg = { ...first, ...ofType('image/jpeg') };
  check('a rendered frame', starts(await client.retrieveInstanceFramesRendered(asJpeg), jpeg));
  check('a thumbnail', starts(await client.retrieveInstanceThumbnail(uids), jpeg));

  // The names that the client has for HTJ2K and RLE are its own.
  const others = {
    studyInstanceUID: compressed.study,
    seriesInstanceUID: compressed.series,
    sopInstanceUID: compressed.instance,
    frameNumbers: [1],
  };
  const octets = { mediaType: 'application/octet-stream', transferSyntaxUID: '1.2.840.10008.1.2.1' };
  const htj2k = { mediaType: 'image/jhc', transferSyntaxUID: '1.2.840.10008.1.2.4.201' };
  const rle = { mediaType: 'image/x-dicom-rle', transferSyntaxUID: '1.2.840.10008.1.2.5' };
  const framesAs = (...mediaTypes) => client.retrieveInstanceFrames({ ...others, mediaTypes });
  same('a frame decoded', (await framesAs(octets))[0], image.frame);
  // It asks for HTJ2K only where other kinds of media are named too; those it leaves out.
  const film = { mediaType: 'video/mp4', transferSyntaxUID: '1.2.840.10008.1.2.4.102' };
  same('a frame as stored', (await framesAs(htj2k, film))[0], compressed.frame);
  check('a frame encoded', starts(await framesAs(rle), [2, 0, 0, 0])); // of two segments
  return done.join(', ');
}

export async function useClient(page, task) {
  await page.goto(task.elsewhere);
  await page.addScriptTag({ path: LIBRARY });
  return page.evaluate(callEverything, { url: `${task.server}/dicomweb`, ...task.client });
}
