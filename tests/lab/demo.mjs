// What the demo prints, and how to find the way in.

/** The address that `authd serve --demo` prints for the person who tries it. */
export function demoAddress(world) {
  const found = /https?:\/\/[^\s"'<>]*demo[^\s"'<>]*/.exec(world.log.join('\n'))?.[0];
  if (!found) throw new Error(`no address was printed:\n${world.excerpt()}`);
  return found;
}
