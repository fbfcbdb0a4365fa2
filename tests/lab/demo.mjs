// What the demo prints, and how to find the way in.

/** The address that `authd serve --demo` prints for the person who tries it, some moments after authd is ready. */
export async function demoAddress(world) {
  for (let i = 0; i < 200; i++) {
    const told = world.log.find((line) => line.includes('"event":"demo"'));
    if (told) return JSON.parse(told).appUrl;
    await new Promise((go) => setTimeout(go, 50));
  }
  throw new Error(`no address was printed:\n${world.excerpt()}`);
}
