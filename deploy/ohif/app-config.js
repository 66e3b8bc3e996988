// OHIF's configuration for this server. `make ohif` puts it in place of OHIF's own.
//
// The server serves OHIF beside /dicomweb, at /ohif/. For an OHIF that lies elsewhere: at the root
// of an address whose /dicomweb a proxy hands to the server, nothing is to be changed; on another
// address, set DICOMWEB_ROOT to the server's whole one before this script, and name the page's
// origin in the server's CORS_ORIGINS.
const base = window.PUBLIC_URL ?? '/'; // where OHIF lies, with a slash at the end
const root = window.DICOMWEB_ROOT ?? new URL('../dicomweb', window.location.origin + base).pathname;

window.config = {
  name: 'dicomweb-server',
  routerBasename: base.length > 1 ? base.slice(0, -1) : null,
  extensions: [],
  modes: [],
  customizationService: {},
  showStudyList: true,
  showCPUFallbackMessage: false,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  maxNumberOfWebWorkers: 2,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'dicomweb',
      configuration: {
        friendlyName: 'dicomweb-server',
        name: 'dicomweb-server',
        qidoRoot: root,
        wadoRoot: root,
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        supportsStow: true,
        dicomUploadEnabled: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        // An Accept header without quotes needs no preflight, which saves a round trip a frame.
        omitQuotationForMultipartRequest: true,
        // Players ask for a video by ranges as they need them. Documents come in parts, so that
        // they can be shown also on a page of another address.
        singlepart: 'video',
        bulkDataURI: {
          enabled: true,
          relativeResolution: 'studies',
          // By the name that the page was reached by, which may be another than PUBLIC_URL. What
          // was transformed is only kept where a prefix is exchanged, for the same one here.
          transform: (uri) => uri.replace(/^https?:.*?(?=\/studies\/)/, root),
          startsWith: root,
          prefixWith: root,
        },
      },
    },
  ],
};
