"""A small English-German corpus that is made here, so that the translation examples run without a download.

It is a toy: thirteen nouns in three genders, articles and adjectives that agree, and a clause whose verb goes to the
end, so that a model must read out of order. What it teaches says nothing of real translation.
"""

import random

NOUNS = [
    ("dog", "Hund", "m"), ("man", "Mann", "m"), ("bird", "Vogel", "m"), ("tree", "Baum", "m"), ("wolf", "Wolf", "m"),
    ("cat", "Katze", "f"), ("woman", "Frau", "f"), ("street", "Straße", "f"), ("flower", "Blume", "f"),
    ("child", "Kind", "n"), ("horse", "Pferd", "n"), ("house", "Haus", "n"), ("girl", "Mädchen", "n"),
]  # fmt: skip
ADJECTIVES = [("small", "klein"), ("old", "alt"), ("green", "grün"), ("white", "weiß"), ("loud", "laut")]
VERBS = [("sees", "sieht"), ("hears", "hört"), ("likes", "mag"), ("looks for", "sucht"), ("paints", "malt")]
OPENINGS = [("i know", "ich weiß"), ("you say", "du sagst"), ("we believe", "wir glauben"), ("they hope", "sie hoffen")]
ARTICLES = {"nominative": {"m": "der", "f": "die", "n": "das"}, "accusative": {"m": "den", "f": "die", "n": "das"}}


def toy_corpus(count, seed=0):
    """Distinct pairs of sentences, `count` of them, the same for the same seed."""
    generator = random.Random(seed)
    pairs = {}  # a set would have another order in each process
    while len(pairs) < count:
        subject, target_subject = _phrase(generator, "nominative")
        thing, target_thing = _phrase(generator, "accusative")
        verb, target_verb = generator.choice(VERBS)
        clause, target_clause = f"{subject} {verb} {thing}", f"{target_subject} {target_verb} {target_thing}"
        if generator.random() < 0.5:
            opening, target_opening = generator.choice(OPENINGS)
            clause = f"{opening} that {clause}"
            target_clause = f"{target_opening} , dass {target_subject} {target_thing} {target_verb}"
        pairs[f"{clause} .", f"{target_clause} ."] = None
    return generator.sample(list(pairs), count)


def _phrase(generator, case):
    """An article, perhaps an adjective, and a noun: in English, and in German in a case."""
    noun, target_noun, gender = generator.choice(NOUNS)
    article = ARTICLES[case][gender]
    if generator.random() < 0.4:
        return f"the {noun}", f"{article} {target_noun}"
    adjective, target_adjective = generator.choice(ADJECTIVES)
    ending = "en" if (case, gender) == ("accusative", "m") else "e"
    return f"the {adjective} {noun}", f"{article} {target_adjective}{ending} {target_noun}"
