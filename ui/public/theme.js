(function () {
  var kept = null;
  try {
    kept = localStorage.getItem('binnacle.theme');
  } catch (e) {
    /* storage is forbidden: follow the system */
  }
  var dark = kept ? kept === 'dark' : !matchMedia('(prefers-color-scheme: light)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
