// Ranks the pages of this site, and the sections within them, for a question. MiniSearch does the matching; here is what it
// cannot know: how words of this field are split and stemmed, which words mean the same, and that a page is more than its
// best section. `data` is what docs/_ext/search_index.py collected.
// eslint-disable-next-line no-unused-vars
function createSearch(data, weights = {}) {
  const tune = {
    page: 1, section: 0.5, second: 0.15, // how much the page as a whole, its best and its second section count
    word: 1, concept: 0.8, covered: 0.6, whole: 1.5, // a word, what it stands for, a word that stands for something, an identifier
    reference: 0.9, // a question without a name in it is for a guide rather than for the reference
    pageTitle: 4, job: 2.5, said: 2.5, terms: 2.5, headings: 1.5, body: 0.8,
    title: 2, name: 3, text: 1, code: 0.4,
    k: 1.2, b: 0.7, d: 0.5, pk: 1.2, pb: 0.7, pd: 0.5,
    ...weights,
  };
  const stemmer = new Stemmer();
  const stems = new Map();
  const stem = (word) => {
    if (!stems.has(word)) stems.set(word, /^[a-z]{3,}$/.test(word) ? stemmer.stemWord(word) : word);
    return stems.get(word);
  };
  const stop = new Set(data.stop.map(stem));

  // "--max-output-tokens", "max_output_tokens" and "max output tokens" share their parts, the first two the whole as well.
  const compound = /[\p{L}\p{N}]+(?:[_.@/-]+[\p{L}\p{N}]+)*/gu;
  function* split(text) {
    for (const [whole] of text.normalize("NFKC").replace(/[’']s?\b/g, "").matchAll(compound)) {
      const parts = whole.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2").toLowerCase().split(/[_.@/-]+/);
      yield { parts, whole: parts.length > 1 ? parts.join("_") : "" };
    }
  }

  // Each group of synonyms is a concept; a phrase is found by its first stem.
  const phrases = new Map();
  data.synonyms.forEach((group, number) => {
    for (const phrase of group) {
      const sequence = [...split(phrase)].flatMap(({ parts }) => parts.map(stem));
      if (!phrases.has(sequence[0])) phrases.set(sequence[0], []);
      phrases.get(sequence[0]).push({ sequence, concept: `=${number}` });
    }
  });

  // The terms of a text: stems, whole identifiers, and the concepts that they stand for.
  function analyse(parts) {
    const sequence = parts.flatMap((part) => part.parts.map(stem));
    const covered = new Set();
    const concepts = new Set();
    sequence.forEach((first, at) => {
      for (const { sequence: wanted, concept } of phrases.get(first) || []) {
        if (wanted.every((word, offset) => sequence[at + offset] === word)) {
          concepts.add(concept);
          wanted.forEach((_, offset) => covered.add(at + offset));
        }
      }
    });
    return { sequence, covered, concepts, wholes: parts.map((part) => part.whole).filter(Boolean) };
  }

  function terms(text) {
    const { sequence, concepts, wholes } = analyse([...split(text)]);
    return [...sequence.filter((word) => !stop.has(word)), ...wholes, ...concepts];
  }

  // An entry of the reference is found by its whole name as by a title, by a part of it as by any word.
  const names = (text) => text.split(/[\s,]+/).map((name) => name.replace(/^\W+|\W+$/g, "").toLowerCase().replace(/[_.@/-]+/g, "_")).filter(Boolean);
  const options = { tokenize: (text, field) => (field === "name" ? names(text) : terms(text)), processTerm: (term) => term, searchOptions: { tokenize: (query) => query.split(" "), combineWith: "OR" } };
  const pages = new MiniSearch({ ...options, fields: ["pageTitle", "job", "said", "terms", "headings", "body"] });
  const sections = new MiniSearch({ ...options, fields: ["title", "name", "text", "code"] });
  const places = [];
  data.pages.forEach((page, number) => {
    const all = page.sections;
    pages.add({
      id: number,
      pageTitle: page.title,
      job: `${page.description} ${page.job}`,
      said: page.said.join("\n"),
      terms: page.terms.join("\n"),
      headings: all.slice(1).filter((section) => !section.also).map((section) => section.title).join("\n"),
      body: all.map((section) => `${section.title}\n${section.also}\n${section.text.join("\n")}\n${section.code}`).join("\n"),
    });
    all.forEach((section) => {
      sections.add({
        id: places.length,
        title: section.id && !section.also ? section.title : "",
        name: section.also ? `${section.title}\n${section.also}` : "",
        text: [...section.text, section.also ? section.title : ""].join("\n"),
        code: section.code,
      });
      places.push({ page: number, section });
    });
  });

  // Spelling: the words that occur, as written, to which an unknown word is compared.
  const known = new Set(phrases.keys());
  const vocabulary = new MiniSearch({ fields: ["word"], tokenize: (word) => [word], processTerm: (term) => term });
  const counts = new Map();
  for (const { section } of places) {
    for (const { parts } of split([section.title, section.also, ...section.text].join("\n"))) {
      for (const part of parts) {
        known.add(stem(part));
        if (/^[a-z]{4,}$/.test(part)) counts.set(part, (counts.get(part) || 0) + 1);
      }
    }
  }
  for (const { terms: words, title, description, job } of data.pages) {
    for (const { parts } of split([title, description, job, ...words].join("\n"))) parts.forEach((part) => { known.add(stem(part)); if (/^[a-z]{4,}$/.test(part)) counts.set(part, (counts.get(part) || 0) + 1); });
  }
  for (const group of data.synonyms) for (const { parts } of split(group.join("\n"))) parts.forEach((part) => { known.add(stem(part)); if (/^[a-z]{4,}$/.test(part)) counts.set(part, (counts.get(part) || 0) + 1); });
  vocabulary.addAll([...counts.keys()].map((word, id) => ({ id, word })));
  const words = [...counts.keys()];

  function corrected(part, isLast) {
    if (part.length < 4 || !/^[a-z]+$/.test(part) || known.has(stem(part)) || stop.has(stem(part))) return [part];
    const found = vocabulary.search(part, { fuzzy: part.length > 7 ? 0.26 : 0.34, maxFuzzy: 2, prefix: isLast });
    return found.length ? [words[found[0].id]] : [part];
  }

  function search(question) {
    const parts = [...split(question)];
    parts.forEach((part) => { part.parts = part.parts.flatMap((word) => corrected(word, part === parts.at(-1))); });
    const { sequence, covered, concepts, wholes } = analyse(parts);
    const weight = new Map();
    sequence.forEach((word, at) => { if (!stop.has(word)) weight.set(word, covered.has(at) ? tune.covered : tune.word); });
    if (!weight.size) sequence.forEach((word) => weight.set(word, tune.word));
    wholes.forEach((whole) => weight.set(whole, tune.whole));
    concepts.forEach((concept) => weight.set(concept, tune.concept));
    const query = [...weight.keys()].join(" ");
    const boostTerm = (term) => weight.get(term);
    const scores = new Map();
    for (const hit of pages.search(query, { boost: tune, boostTerm, bm25: { k: tune.pk, b: tune.pb, d: tune.pd } })) scores.set(hit.id, { whole: hit.score, sections: [] });
    for (const hit of sections.search(query, { boost: tune, boostTerm, bm25: { k: tune.k, b: tune.b, d: tune.d } })) {
      scores.get(places[hit.id].page).sections.push({ ...places[hit.id], score: hit.score, match: hit.match });
    }
    return [...scores].map(([number, { whole, sections: found }]) => {
      const [first, second] = found.map((section) => section.score);
      const prior = wholes.length || !data.pages[number].url.includes("/reference/") ? 1 : tune.reference;
      const score = prior * (tune.page * whole + tune.section * ((first || 0) + tune.second * (second || 0)));
      return { page: data.pages[number], score, whole, sections: found };
    }).sort((a, b) => b.score - a.score);
  }
  return { search, terms, tune };
}
