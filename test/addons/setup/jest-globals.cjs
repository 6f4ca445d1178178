// The globals of Jest that a suite written for it needs under mocha: the same `expect` and `jest.fn` as in Jest.

const { expect } = require("expect");
const { ModuleMocker } = require("jest-mock");

globalThis.expect = expect;
globalThis.jest = new ModuleMocker(globalThis);
globalThis.test = (...args) => globalThis.it(...args);
globalThis.beforeAll = (...args) => globalThis.before(...args);
globalThis.afterAll = (...args) => globalThis.after(...args);
