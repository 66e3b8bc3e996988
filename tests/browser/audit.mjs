// Accessibility of what is shown: no serious or critical fault that axe-core knows of.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const AXE = readFileSync(
  fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url)),
  'utf8',
);

// Raises an Error that names what is wrong with the page as it is.
export async function audit(page, name) {
  await page.evaluate(AXE);
  const faults = await page.evaluate(async () => {
    const found = await globalThis.axe.run(document, { iframes: false, resultTypes: ['violations'] });
    return found.violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ''}`).join('; ')}`);
  });
  if (faults.length > 0) throw new Error(`${name}: ${faults.join(' | ')}`);
}

// The same in light and in dark colours, with a screenshot of each.
export async function auditColours(page, task, name, options = {}) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await audit(page, `${name}, ${colorScheme}`);
    await page.screenshot({ path: `${task.results}/page ${name} ${colorScheme}.png`, ...options });
  }
  await page.emulateMedia({ colorScheme: 'light' });
}
