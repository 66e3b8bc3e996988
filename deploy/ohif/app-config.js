// OHIF's configuration for this server: serve it as /app-config.js in place of OHIF's own.
//
// OHIF's page and the server may share one address, behind a proxy that hands /dicomweb to the
// server. If they do not, set DICOMWEB_ROOT to the server's whole address before this script,
// and name the page's origin in the server's CORS_ORIGINS.
const root = window.DICOMWEB_ROOT ?? '/dicomweb';

window.config = {
  name: 'dicomweb-server',
  routerBasename: null,
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
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
      },
    },
  ],
};
