"""Recommends films: a user's profile asks the films that the user has seen; beside it, what most people see.

Run it: `python examples/recommendation/recommendation.py`; `--help` lists the flags. Without `--data` it generates
films and users; `--data` takes a folder, or a wheel of RecBole (`pip download recbole --no-deps`), that holds
MovieLens-100k.
"""

import argparse
import pathlib
import zipfile

import numpy as np
from matplotlib import pyplot

from keras_attention import load
from keras_attention.data import leave_one_out
from keras_attention.recipes import train_recommender
from keras_attention.recommend import rank_of, ranking_scores

GENRES = ["Action", "Adventure", "Animation", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "War"]
FILES = "ml-100k/ml-100k."


def generated(users, films=200, seed=0):
    """Users whose age and gender say which genres they like, and what they saw; in the form of `read`."""
    generator = np.random.default_rng(seed)
    titles = [f"{GENRES[row % len(GENRES)]} no. {row // len(GENRES) + 1}" for row in range(films)]
    film_profiles = np.eye(len(GENRES))[np.arange(films) % len(GENRES)]
    user_profiles = np.eye(6)[generator.integers(0, 6, users)]  # an age and a gender
    likes = generator.normal(size=(6, len(GENRES)))
    popularity = generator.normal(size=films)
    histories = {}
    for row in range(users):
        wanted = 2 * film_profiles @ (user_profiles[row] @ likes) + popularity + generator.gumbel(size=films)
        histories[f"user {row + 1}"] = [titles[film] for film in np.argsort(-wanted)[: generator.integers(8, 30)]]
        generator.shuffle(histories[f"user {row + 1}"])
    return histories, dict(zip(histories, user_profiles, strict=True)), dict(zip(titles, film_profiles, strict=True))


def read(data):
    """MovieLens-100k, from a folder or a wheel that holds RecBole's files of it.

    Returns:
        `(histories, user_profiles, film_profiles)`: films by user, in order of time, and a vector of each user (age,
        gender, occupation) and each film (genres, decade).
    """
    tables = {name: _table(data, name) for name in ("inter", "user", "item")}
    titles = {row["item_id"]: f"{row['movie_title']} ({row['release_year']})" for row in tables["item"]}
    titles = {number: f"{title} #{number}" if list(titles.values()).count(title) > 1 else title
              for number, title in titles.items()}  # fmt: skip
    histories = {}
    for row in sorted(tables["inter"], key=lambda row: float(row["timestamp"])):
        histories.setdefault(f"user {row['user_id']}", []).append(titles[row["item_id"]])
    users = _vectors(
        {
            f"user {row['user_id']}": [f"age {min(int(row['age']) // 10, 6)}", row["gender"], row["occupation"]]
            for row in tables["user"]
        }
    )
    films = _vectors(
        {titles[row["item_id"]]: [*row["class"].split(), f"decade {row['release_year'][:3]}"] for row in tables["item"]}
    )
    return histories, {name: users[name] for name in histories}, films


def _table(data, name):
    """The rows of one of RecBole's files, as dicts."""
    if data.suffix == ".whl":
        with zipfile.ZipFile(data) as wheel:
            text = wheel.read(f"recbole/dataset_example/{FILES}{name}").decode("utf-8")
    else:
        text = (data / f"{FILES}{name}").read_text(encoding="utf-8")
    first, *lines = text.splitlines()
    names = [column.partition(":")[0] for column in first.split("\t")]
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines]


def _vectors(words):
    """Dict of vectors that say which words each has."""
    known = sorted({word for some in words.values() for word in some})
    return {name: np.isin(known, some).astype("float32") for name, some in words.items()}


def popular(histories, test):
    """Scores of what recommends to all what most have seen."""
    counts = {}
    for films in histories.values():
        for film in films:
            counts[film] = counts.get(film, 0) + 1
    ranks = []
    for each in test:
        others = [count for film, count in counts.items() if film not in (each.item, *each.history)]
        ranks.append(rank_of(counts.get(each.item, 0), np.array(others)))
    return ranking_scores(ranks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder or wheel with MovieLens-100k; else it is generated")
    parser.add_argument("--users", type=int, default=600, help="users that are generated (default: 600)")
    parser.add_argument("--epochs", type=int, default=80, help="passes over the users, at most (default: 80)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("runs/recommendation"), help="folder to write to"
    )
    options = parser.parse_args()

    histories, users, films = read(options.data) if options.data else generated(options.users)
    histories, validation, test = leave_one_out(histories)
    users = {name: users[name] for name in histories}
    of_profiles = {"model": "profiles", "user_profiles": users, "item_profiles": films}
    models = {
        "without profiles": of_profiles | {"profiles": False},
        "profiles": of_profiles,
        "each film asks": {
            "model": "interest",
            "units": 16,
            "attention_units": (16, 8),
            "hidden_units": (16, 8),
            "max_length": 20,
            "measured": 100,  # to rank all films for a user takes a pass over the history for each
        },
        "self-attention": {"model": "sasrec", "max_length": 100, "dropout": 0.3},
    }
    print(
        f"{len(histories)} users, {len(films)} films; the last film of each user, ranked among all that are not seen:"
    )
    results, trained = {"what most see": popular(histories, test)}, {}
    for name, arguments in models.items():
        folder = options.output / name.replace(" ", "_")
        trained[name] = train_recommender(
            histories,
            validation,
            folder,
            items=films,
            epochs=options.epochs,
            batch_size=32,
            patience=15,
            seed=options.seed,
            verbose=0,
            **arguments,
        )
        results[name] = trained[name].evaluate(test)
    for name, found in results.items():
        print(f"{name:>18}: hit rate {found['hit_rate']:.4f}, NDCG {found['ndcg']:.4f} of the first 10")

    version = trained["profiles"].export(options.output / "model")
    print(f"Exported and checked: {version}")
    each = test[0]
    history = each.history[-25:]
    recommended = load(version)(history, user=each.user)
    print(f"{each.user}, after {history[-1]}: {', '.join(recommended.items[:3])}")
    draw(each.user, history, recommended, options.output / "attention.png")
    print(f"Attention: {options.output / 'attention.png'}")


def draw(user, history, recommended, file):
    """How much each film of a history was attended to, and what was recommended."""
    figure, axes = pyplot.subplots(figsize=(8, 0.26 * len(history) + 1.2), layout="constrained")
    axes.barh(range(len(history)), recommended.weights, color="tab:blue")
    axes.set(yticks=range(len(history)), yticklabels=history, xlabel="weight")
    axes.invert_yaxis()
    axes.set_title(f"{user} has seen; recommended: {', '.join(recommended.items[:3])}", fontsize=9, loc="right")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
