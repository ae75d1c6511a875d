// How the console is built. What the server does with the result is the server's.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// While developing, requests for data go to a running server, or to `npm run fleet`.
const server = process.env.ATOLL_URL ?? "http://127.0.0.1:7412";

export default defineConfig({
  plugins: [react()],
  build: {
    target: ["chrome123", "firefox120", "safari17.5"],
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The policy allows no data: addresses in styles, and every file is compressed beforehand.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      "/v1": { target: server, ws: true },
      "/api/v1": server,
      "/readyz": server,
    },
  },
});
