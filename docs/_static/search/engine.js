// Ranks the pages of this site, and the sections within them, for a question. MiniSearch does the matching; here is what it
// cannot know: how the words of this field are split and stemmed, which of them mean the same, which message was pasted, and
// that a page is more than its best section. `data` is what docs/_ext/search_index.py collected.
const WEIGHTS = {
  // Beside the page as a whole, its best section.
  section: 1.4,
  // A word of the question; what it stands for; a word that stands for something; an identifier as a whole.
  word: 1, concept: 0.8, covered: 0.6, whole: 1.5,
  // A question that names no identifier is for a guide rather than for the reference.
  reference: 0.9,
  // A symptom is for the page of symptoms, a task for a guide.
  symptom: 1.1, task: 0.85,
  // What has to be there before the job is on every guide.
  setup: 0.6,
  // The fields of a page, then those of a section.
  name: 6, description: 4, asked: 2.5, headings: 0.8,
  title: 2, names: 3, text: 1, code: 0.6, asked_here: 1,
};
const BM25 = { k: 1.5, b: 0.5, d: 0.5 };

// eslint-disable-next-line no-unused-vars
function createSearch(data) {
  const stemmer = new Stemmer();
  const stem = (word) => (/^[a-z]{3,}$/.test(word) ? stemmer.stemWord(word) : word);
  const stop = new Set(data.stop.map(stem));
  const symptoms = new Set(data.symptoms);

  // "--max-output-tokens", "max_output_tokens" and "max output tokens" share their words; the first two share the whole, too.
  const IDENTIFIER = /[\p{L}\p{N}]+(?:[_.@/-]+[\p{L}\p{N}]+)*/gu;
  const tokens = new Map(); // each is taken apart once: a site repeats itself
  function token(text) {
    if (!tokens.has(text)) {
      const words = text.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2").toLowerCase().split(/[_.@/-]+/);
      tokens.set(text, { words, stems: words.map(stem), whole: words.length > 1 ? words.join("") : "", count: 0 });
    }
    return tokens.get(text);
  }
  const split = createSearch.split = (text) => Array.from(text.normalize("NFKC").replace(/[’']s?\b/g, " ").matchAll(IDENTIFIER), ([found]) => token(found));

  // Each group of synonyms is a concept, a term of its own. A phrase is looked up by its first stem.
  const phrases = new Map();
  data.synonyms.forEach((group, number) => {
    for (const phrase of group) {
      const stems = split(phrase).flatMap((part) => part.stems);
      phrases.set(stems[0], [...(phrases.get(stems[0]) || []), { stems, concept: `=${number}` }]);
    }
  });

  // The stems of a text, its identifiers, and the concepts that it speaks of with the places of their words.
  function read(parts) {
    const stems = parts.flatMap((part) => part.stems);
    const concepts = new Map();
    stems.forEach((first, at) => {
      for (const { stems: wanted, concept } of phrases.get(first) || []) {
        if (wanted.every((word, offset) => stems[at + offset] === word)) {
          concepts.set(concept, [...(concepts.get(concept) || []), ...wanted.map((_, offset) => at + offset)]);
        }
      }
    });
    return { stems, concepts, wholes: parts.map((part) => part.whole).filter(Boolean) };
  }
  const telling = (word) => !stop.has(word);

  // MiniSearch is given terms, in one string.
  function terms(text = "") {
    const parts = split(text);
    for (const part of parts) part.count += 1;
    const { stems, wholes, concepts } = read(parts);
    return [...stems.filter(telling), ...wholes, ...concepts.keys()].join(" ");
  }
  // The longer fields come as numbers of terms, each as the distance from the one before: see docs/_ext/search_terms.py.
  const vocabulary = data.vocabulary.split(" ").map((term) => (term[0] === "=" ? { text: term } : token(term)));
  for (const part of vocabulary) part.text ??= [...part.stems.filter(telling), part.whole].filter(Boolean).join(" ");
  const digit = new Map(Array.from(data.digits, (each, number) => [each, number]));
  const base = digit.size;
  function decoded(field) {
    const found = [];
    const next = () => digit.get(field[at++]);
    let [at, number] = [0, -1];
    while (at < field.length) {
      const first = next();
      number += 1 + (first < 80 ? first : first < 90 ? first * 80 - 6320 + next() : (next() * base + next()) * base + next());
      if (vocabulary[number].count !== undefined) vocabulary[number].count += 1;
      found.push(vocabulary[number].text);
    }
    return found.join(" ");
  }
  // An entry of the reference is found by its whole name as by a title, by a part of it as by any word.
  const names = (text = "") => text.split(/[\s,]+/).map((name) => token(name.replace(/^\W+|\W+$/g, "")).words.join("")).join(" ");

  const options = { tokenize: (text) => text.split(" "), processTerm: (term) => term || null };
  const pages = new MiniSearch({ ...options, fields: ["name", "description", "asked", "headings"] });
  const sections = new MiniSearch({ ...options, fields: ["title", "names", "text", "code", "asked_here"] });
  const places = [];
  const messages = [];
  data.pages.forEach((page, number) => {
    const headings = [];
    const { id: ids, title: titles, first, names: named, text, code, asked } = page.sections;
    ids.forEach((short, at) => {
      const id = short.replace("~", () => titles[at].split(", ")[0].split(" › ").pop());
      const [section, title] = [{ id, title: titles[at], first: first[at] }, terms(titles[at])];
      // What is shown of a section is not told twice.
      const record = { id: places.length, text: `${decoded(text[at])} ${terms(first[at])} ${title}`, code: decoded(code[at]), asked_here: decoded(asked[at]) };
      if (named[at]) Object.assign(record, { names: names(`${section.title} ${id} ${named[at]}`) });
      else if (id) headings.push((record.title = title));
      if (page.messages[at]) {
        for (const message of [section.title, ...page.messages[at]]) messages.push({ place: record.id, terms: new Set(plain(message)) });
      }
      sections.add(record);
      places.push({ page: number, section });
    });
    pages.add({
      id: number, name: terms(page.title), description: terms(page.description), asked: decoded(page.asked),
      headings: headings.join(" "),
    });
  });

  // Spelling: a word that occurs nowhere is taken for the nearest one that does.
  const known = new Set();
  const counts = new Map();
  for (const { words, stems, whole, count } of tokens.values()) {
    for (const term of [...stems, whole]) known.add(term);
    for (const word of words) if (/^[a-z]{4,}$/.test(word)) counts.set(word, (counts.get(word) || 0) + count);
  }
  const spellings = new MiniSearch({ ...options, fields: ["id"] });
  spellings.addAll(Array.from(counts.keys(), (id) => ({ id })));
  function corrected(word, unfinished) {
    if (!/^[a-z]{4,}$/.test(word) || known.has(stem(word)) || known.has(word)) return word;
    const boostDocument = (id) => 1 + Math.log1p(counts.get(id)) / 20; // of two that are as near, the one that occurs more often
    const [nearest] = spellings.search(word, { fuzzy: word.length > 7 ? 0.26 : 0.34, maxFuzzy: 2, prefix: unfinished, boostDocument });
    return nearest ? nearest.id : word;
  }

  // A pasted message: of the entries whose words are (nearly) all in the question, the one that leaves the least of it over.
  function plain(text) {
    const { stems, wholes } = read(split(text));
    return [...stems, ...wholes].filter((word) => telling(word) && !/^\d+$/.test(word));
  }
  function pasted(question) {
    const asked = new Set(plain(question));
    const best = { overlap: 0 };
    for (const { place, terms: wanted } of messages) {
      const shared = [...wanted].filter((word) => asked.has(word)).length;
      const overlap = shared / (wanted.size + asked.size - shared);
      if (shared / wanted.size >= 0.8 && (shared > 3 || overlap === 1) && overlap > best.overlap) Object.assign(best, { overlap, place });
    }
    return best.place;
  }

  // The first sentence of a section in pieces: [text, whether it was asked for].
  function quote({ first }, weight) {
    const found = [...first.matchAll(IDENTIFIER)];
    const parts = found.map(([text]) => token(text));
    const { stems, concepts } = read(parts);
    const marked = new Set([...stems.keys()].filter((at) => weight.has(stems[at])));
    for (const [concept, at] of concepts) if (weight.has(concept)) at.forEach((place) => marked.add(place));
    const pieces = [];
    let [end, at] = [0, 0];
    parts.forEach(({ words }, number) => {
      const { index, 0: text } = found[number];
      pieces.push([first.slice(end, index), false], [text, words.some((_, offset) => marked.has(at + offset))]);
      [end, at] = [index + text.length, at + words.length];
    });
    return [...pieces, [first.slice(end), false]];
  }

  // The pages that answer, best first, each with its sections, best first; and a function that quotes from a section.
  function search(question) {
    const parts = [];
    for (const [at, part] of split(question).entries()) {
      const joined = at && parts.at(-1).words.join("") + part.words.join("");
      if (joined && counts.get(joined) > 2) parts[parts.length - 1] = token(joined); // "data set", "time out"
      else parts.push(part);
    }
    parts.forEach((part, at) => {
      const words = part.words.map((word) => corrected(word, at === parts.length - 1));
      if (words.some((word, each) => word !== part.words[each])) parts[at] = token(words.join("_"));
    });
    const { stems, concepts, wholes } = read(parts);
    const covered = new Set([...concepts.values()].flat());
    const weight = new Map();
    stems.forEach((word, at) => telling(word) && weight.set(word, covered.has(at) ? WEIGHTS.covered : WEIGHTS.word));
    if (!weight.size) stems.forEach((word) => weight.set(word, WEIGHTS.word));
    for (const whole of wholes) weight.set(whole, WEIGHTS.whole);
    for (const concept of concepts.keys()) weight.set(concept, WEIGHTS.concept);
    const query = [...weight.keys()].join(" ");
    const how = { boost: WEIGHTS, boostTerm: (term) => weight.get(term), bm25: BM25 };

    const found = new Map(data.pages.map((page, number) => [number, { page, whole: 0, sections: [] }]));
    for (const hit of pages.search(query, how)) found.get(hit.id).whole = hit.score;
    const boostDocument = (id) => (places[id].section.id === "before-you-start" ? WEIGHTS.setup : 1);
    for (const hit of sections.search(query, { ...how, boostDocument })) found.get(places[hit.id].page).sections.push({ ...places[hit.id], score: hit.score });
    const symptom = question.toLowerCase().replace(/’/g, "'").match(/[\p{L}\p{N}']+/gu)?.some((word) => symptoms.has(word));
    for (const hit of found.values()) {
      const prior = wholes.length ? 1 : hit.page.url.includes("/reference/") ? WEIGHTS.reference
        : hit.page.url.includes("/troubleshoot-") ? (symptom ? WEIGHTS.symptom : WEIGHTS.task) : 1;
      hit.score = prior * (hit.whole + WEIGHTS.section * (hit.sections[0]?.score || 0));
    }
    const entry = places[pasted(question)];
    if (entry) {
      const hit = found.get(entry.page);
      hit.sections = [entry, ...hit.sections.filter(({ section }) => section !== entry.section)];
      hit.score = Infinity;
    }
    const ranked = [...found.values()].filter((hit) => hit.score).sort((a, b) => b.score - a.score);
    return { pages: ranked, quote: (section) => quote(section, weight) };
  }
  return search;
}
