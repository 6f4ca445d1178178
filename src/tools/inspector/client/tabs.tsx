/** @jsxImportSource preact */
// Tabs, of which one is selected. The arrow keys, Home and End move between them.
// https://www.w3.org/WAI/ARIA/apg/patterns/tabs/

import type { ComponentChildren, JSX } from "preact";

interface TabListProps<Name extends string> {
  label: string;
  tabs: readonly { name: Name; label: string }[];
  selected: Name;
  onSelect: (name: Name) => void;
}

export function TabList<Name extends string>({ label, tabs, selected, onSelect }: TabListProps<Name>): JSX.Element {
  const onKeyDown = (event: KeyboardEvent): void => {
    const index = tabs.findIndex(({ name }) => name === selected);
    const targets: Record<string, number> = {
      ArrowLeft: (index + tabs.length - 1) % tabs.length,
      ArrowRight: (index + 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    };
    const target = targets[event.key];
    const tab = target === undefined ? undefined : tabs[target];
    if (tab === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // the page uses these keys to move through the history
    onSelect(tab.name);
    document.getElementById(`tab-${tab.name}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={onKeyDown}>
      {tabs.map(({ name, label }) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={name === selected}
          aria-controls={name === selected ? `panel-${name}` : undefined}
          tabIndex={name === selected ? 0 : -1}
          onClick={() => onSelect(name)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

export function TabPanel({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div id={`panel-${name}`} role="tabpanel" aria-labelledby={`tab-${name}`}>
      {children}
    </div>
  );
}
