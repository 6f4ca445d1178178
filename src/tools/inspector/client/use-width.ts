// The width of an element, measured again whenever it changes.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";

/** Returns a ref for an element, whose width is reported to `onWidth` in pixels. */
export function useWidth<T extends HTMLElement>(onWidth: (width: number) => void): RefObject<T | null> {
  const ref = useRef<T>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const measure = (): void => onWidth(Math.floor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return ref;
}
