/** The package's own; written down, because the built files lie elsewhere below the package than the sources. */
export const VERSION = '0.1.0';
