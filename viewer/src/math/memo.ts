/**
 * A function that gives the same result again while it is asked of the same object with the same others.
 *
 * Views are laid out for every picture, mostly of what has stayed; and what is the same object need not be drawn anew.
 */
export function memo<Key extends object, Others extends unknown[], Made>(
  make: (key: Key, ...others: Others) => Made,
): (key: Key, ...others: Others) => Made {
  const kept = new WeakMap<Key, { others: Others; made: Made }>();
  return (key, ...others) => {
    const known = kept.get(key);
    if (known?.others.every((other, k) => other === others[k]) === true) return known.made;
    const made = make(key, ...others);
    kept.set(key, { others, made });
    return made;
  };
}
